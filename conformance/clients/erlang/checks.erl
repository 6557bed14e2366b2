%% One line per check on standard output.
-module(checks).
-export([check/2, unique/1, url/0, large_bytes/0, eventually/2, restart_broker/0, finish/0, parameters/0]).

url() -> os:getenv("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F").

large_bytes() -> list_to_integer(os:getenv("LARGE_MESSAGE_BYTES", "20971520")).

%% The network parameters of AMQP_URL, as the client's own parser reads them.
parameters() ->
    {ok, Parameters} = amqp_uri:parse(url()),
    Parameters.

unique(Label) ->
    Random = binary:encode_hex(crypto:strong_rand_bytes(4)),
    iolist_to_binary(["clients.", Label, ".", os:getpid(), ".", Random]).

%% Runs one check in a process of its own with a limit of 30 seconds.
check(Name, Run) ->
    {Pid, Reference} = spawn_monitor(fun() -> exit({verdict, attempt(Run)}) end),
    Verdict = receive
        {'DOWN', Reference, process, Pid, {verdict, V}} -> V;
        {'DOWN', Reference, process, Pid, Other} -> {failed, Other}
    after 30000 ->
        exit(Pid, kill),
        {failed, timed_out}
    end,
    case Verdict of
        ok -> io:format("ok ~s~n", [Name]);
        skip -> io:format("skip ~s~n", [Name]);
        {failed, Reason} ->
            put(failures, failures() + 1),
            io:format("not ok ~s: ~0p~n", [Name, Reason])
    end.

attempt(Run) ->
    try Run() of
        _ -> ok
    catch
        throw:skip -> skip;
        _:Reason:Stack -> {failed, {Reason, hd(Stack)}}
    end.

failures() ->
    case get(failures) of
        undefined -> 0;
        Count -> Count
    end.

eventually(What, Probe) -> eventually(What, Probe, 500).

eventually(What, _, 0) -> error({never_happened, What});
eventually(What, Probe, Tries) ->
    case Probe() of
        false -> timer:sleep(20), eventually(What, Probe, Tries - 1);
        Value -> Value
    end.

%% Restarts the broker when the runner owns it.
restart_broker() ->
    case os:getenv("RESTART_COMMAND") of
        false -> throw(skip);
        "" -> throw(skip);
        Command ->
            Port = open_port({spawn_executable, Command}, [{args, ["restart"]}, exit_status, hide]),
            wait_exit(Port)
    end.

wait_exit(Port) ->
    receive
        {Port, {exit_status, 0}} -> ok;
        {Port, {exit_status, Code}} -> error({restart_failed, Code});
        {Port, {data, _}} -> wait_exit(Port)
    end.

finish() ->
    halt(min(1, failures())).
