%% The Erlang client of RabbitMQ's own distribution: one check per pattern and feature.
-module(client_checks).
-export([main/0, every_field_type/0]).
-include_lib("amqp_client/include/amqp_client.hrl").

main() ->
    logger:set_primary_config(level, none),
    {ok, Connection} = amqp_connection:start(checks:parameters()),
    put(connection, Connection),
    With = fun(Name, Run) ->
        checks:check(Name, fun() -> with_channel(Connection, Run) end)
    end,
    With("work queue: qos 1 and acknowledgements", fun work_queue/1),
    With("fanout, direct, topic and headers routing", fun routing/1),
    With("exchange to exchange binding", fun exchange_binding/1),
    checks:check("rpc: amqp_rpc_server and amqp_rpc_client", fun() -> rpc(Connection) end),
    With("direct reply-to", fun(Channel) -> direct_reply_to(Connection, Channel) end),
    With("publisher confirms and nack of a full queue", fun confirms/1),
    With("mandatory return before the confirm", fun mandatory/1),
    With("get, nack, reject, recover", fun requeue/1),
    With("headers: every field type with its tag", fun field_types/1),
    With("properties: all fourteen", fun properties/1),
    With("ttl and dead letter", fun dead_letter/1),
    With("transactions", fun transactions/1),
    checks:check("errors: channel codes and texts", fun() -> errors(Connection) end),
    checks:check("errors: login and vhost", fun login_errors/0),
    With("consumer cancel notification", fun(Channel) -> cancelled(Connection, Channel) end),
    With(["large message of ", integer_to_list(checks:large_bytes()), " bytes"], fun large/1),
    With("flow, blocked handler, server properties", fun(Channel) -> handlers(Connection, Channel) end),
    amqp_connection:close(Connection),
    checks:check("tls: verified, and by client certificate with EXTERNAL", fun tls/0),
    checks:check("a new connection finds the queue after a restart", fun restart/0),
    checks:finish().

with_channel(Connection, Run) ->
    {ok, Channel} = amqp_connection:open_channel(Connection),
    Run(Channel),
    case is_process_alive(Channel) of
        true -> amqp_channel:close(Channel);
        false -> ok
    end.

queue(Channel) -> queue(Channel, []).

queue(Channel, Arguments) ->
    Name = checks:unique("erlang"),
    #'queue.declare_ok'{queue = Name} = amqp_channel:call(Channel, #'queue.declare'{
        queue = Name, exclusive = true, arguments = Arguments}),
    Name.

exchange(Channel, Type) ->
    Name = checks:unique("erlang"),
    #'exchange.declare_ok'{} = amqp_channel:call(Channel, #'exchange.declare'{
        exchange = Name, type = Type, auto_delete = true}),
    Name.

publish(Channel, Exchange, Key, Body) -> publish(Channel, Exchange, Key, Body, #'P_basic'{}).

publish(Channel, Exchange, Key, Body, Properties) ->
    ok = amqp_channel:cast(Channel, #'basic.publish'{exchange = Exchange, routing_key = Key},
        #amqp_msg{props = Properties, payload = Body}).

%% Consumes `Count` messages: a list of {Deliver, Message}.
collect(Channel, Queue, Count) ->
    #'basic.consume_ok'{consumer_tag = Tag} = amqp_channel:subscribe(Channel,
        #'basic.consume'{queue = Queue, no_ack = true}, self()),
    receive #'basic.consume_ok'{consumer_tag = Tag} -> ok end,
    Taken = [receive {#'basic.deliver'{consumer_tag = Tag} = D, M} -> {D, M}
             after 10000 -> error({missing, N, Count}) end || N <- lists:seq(1, Count)],
    amqp_channel:call(Channel, #'basic.cancel'{consumer_tag = Tag}),
    receive #'basic.cancel_ok'{} -> ok end,
    receive {#'basic.deliver'{}, _} -> error(one_too_many) after 0 -> Taken end.

bodies(Taken) -> [Body || {_, #amqp_msg{payload = Body}} <- Taken].
keys(Taken) -> [Key || {#'basic.deliver'{routing_key = Key}, _} <- Taken].

work_queue(Channel) ->
    Queue = queue(Channel),
    #'basic.qos_ok'{} = amqp_channel:call(Channel, #'basic.qos'{prefetch_count = 1}),
    Bodies = [integer_to_binary(N) || N <- lists:seq(1, 50)],
    [publish(Channel, <<>>, Queue, Body, #'P_basic'{delivery_mode = 2}) || Body <- Bodies],
    amqp_channel:subscribe(Channel, #'basic.consume'{queue = Queue}, self()),
    receive #'basic.consume_ok'{} -> ok end,
    Bodies = [receive {#'basic.deliver'{delivery_tag = N}, #amqp_msg{payload = Body}} ->
        receive {#'basic.deliver'{}, _} -> error(prefetch) after 1 -> ok end,
        amqp_channel:cast(Channel, #'basic.ack'{delivery_tag = N}),
        Body
    end || N <- lists:seq(1, 50)].

routing(Channel) ->
    Cases = [
        {<<"fanout">>, <<>>, [<<"a">>, <<"b">>], [<<"a">>, <<"b">>]},
        {<<"direct">>, <<"a">>, [<<"a">>, <<"b">>], [<<"a">>]},
        {<<"topic">>, <<"*.b.#">>, [<<"a.b">>, <<"b">>, <<"a.b.c.d">>], [<<"a.b">>, <<"a.b.c.d">>]}
    ],
    lists:foreach(fun({Type, Pattern, Sent, Expected}) ->
        Exchange = exchange(Channel, Type),
        Queue = queue(Channel),
        #'queue.bind_ok'{} = amqp_channel:call(Channel, #'queue.bind'{
            queue = Queue, exchange = Exchange, routing_key = Pattern}),
        [publish(Channel, Exchange, Key, <<>>) || Key <- Sent],
        Expected = keys(collect(Channel, Queue, length(Expected))),
        #'queue.unbind_ok'{} = amqp_channel:call(Channel, #'queue.unbind'{
            queue = Queue, exchange = Exchange, routing_key = Pattern})
    end, Cases),
    Headers = exchange(Channel, <<"headers">>),
    Queue = queue(Channel),
    amqp_channel:call(Channel, #'queue.bind'{queue = Queue, exchange = Headers, arguments = [
        {<<"x-match">>, longstr, <<"all">>}, {<<"n">>, signedint, 1}, {<<"s">>, longstr, <<"x">>}]}),
    publish(Channel, Headers, <<>>, <<"no">>, #'P_basic'{headers = [{<<"n">>, signedint, 1}]}),
    publish(Channel, Headers, <<>>, <<"yes">>, #'P_basic'{headers = [
        {<<"s">>, longstr, <<"x">>}, {<<"n">>, signedint, 1}]}),
    [<<"yes">>] = bodies(collect(Channel, Queue, 1)).

exchange_binding(Channel) ->
    Source = exchange(Channel, <<"topic">>),
    Destination = exchange(Channel, <<"fanout">>),
    Queue = queue(Channel),
    amqp_channel:call(Channel, #'queue.bind'{queue = Queue, exchange = Destination}),
    Bind = #'exchange.bind'{destination = Destination, source = Source, routing_key = <<"x">>},
    #'exchange.bind_ok'{} = amqp_channel:call(Channel, Bind),
    publish(Channel, Source, <<"y">>, <<"no">>),
    publish(Channel, Source, <<"x">>, <<"yes">>),
    [<<"yes">>] = bodies(collect(Channel, Queue, 1)),
    #'exchange.unbind_ok'{} = amqp_channel:call(Channel, #'exchange.unbind'{
        destination = Destination, source = Source, routing_key = <<"x">>}).

rpc(Connection) ->
    Name = checks:unique("erlang"),
    Server = amqp_rpc_server:start(Connection, Name, fun(Request) -> <<"re: ", Request/binary>> end),
    Client = amqp_rpc_client:start(Connection, Name),
    [begin
        Body = integer_to_binary(N),
        Expected = <<"re: ", Body/binary>>,
        Expected = amqp_rpc_client:call(Client, Body)
    end || N <- lists:seq(1, 10)],
    amqp_rpc_client:stop(Client),
    amqp_rpc_server:stop(Server),
    with_channel(Connection, fun(Channel) ->
        amqp_channel:call(Channel, #'queue.delete'{queue = Name})
    end).

direct_reply_to(Connection, Channel) ->
    {ok, Serving} = amqp_connection:open_channel(Connection),
    Requests = queue(Serving),
    amqp_channel:subscribe(Serving, #'basic.consume'{queue = Requests, no_ack = true}, self()),
    receive #'basic.consume_ok'{} -> ok end,
    amqp_channel:subscribe(Channel, #'basic.consume'{
        queue = <<"amq.rabbitmq.reply-to">>, no_ack = true}, self()),
    receive #'basic.consume_ok'{} -> ok end,
    publish(Channel, <<>>, Requests, <<"hi">>, #'P_basic'{
        reply_to = <<"amq.rabbitmq.reply-to">>, correlation_id = <<"1">>}),
    receive {#'basic.deliver'{}, #amqp_msg{props = #'P_basic'{reply_to = ReplyTo}, payload = <<"hi">>}} ->
        <<"amq.rabbitmq.reply-to.", _/binary>> = ReplyTo,
        publish(Serving, <<>>, ReplyTo, <<"re: hi">>, #'P_basic'{correlation_id = <<"1">>})
    after 5000 -> error(no_request) end,
    receive {#'basic.deliver'{}, #amqp_msg{props = #'P_basic'{correlation_id = <<"1">>}, payload = Reply}} ->
        <<"re: hi">> = Reply
    after 5000 -> error(no_reply) end,
    amqp_channel:close(Serving).

confirms(Channel) ->
    #'confirm.select_ok'{} = amqp_channel:call(Channel, #'confirm.select'{}),
    Queue = queue(Channel),
    [begin
        N = amqp_channel:next_publish_seqno(Channel),
        publish(Channel, <<>>, Queue, <<"x">>, #'P_basic'{delivery_mode = 2})
    end || N <- lists:seq(1, 300)],
    true = amqp_channel:wait_for_confirms(Channel, 10),
    #'queue.declare_ok'{message_count = 300} = amqp_channel:call(Channel,
        #'queue.declare'{queue = Queue, passive = true}),
    Full = queue(Channel, [{<<"x-max-length">>, long, 0}, {<<"x-overflow">>, longstr, <<"reject-publish">>}]),
    publish(Channel, <<>>, Full, <<"x">>),
    false = amqp_channel:wait_for_confirms(Channel, 10).

mandatory(Channel) ->
    amqp_channel:register_return_handler(Channel, self()),
    amqp_channel:register_confirm_handler(Channel, self()),
    #'confirm.select_ok'{} = amqp_channel:call(Channel, #'confirm.select'{}),
    Key = checks:unique("nowhere"),
    amqp_channel:cast(Channel, #'basic.publish'{routing_key = Key, mandatory = true}, #amqp_msg{
        props = #'P_basic'{headers = [{<<"kept">>, bool, true}]}, payload = <<"lost">>}),
    First = receive A -> A after 5000 -> error(nothing) end,
    {#'basic.return'{reply_code = 312, reply_text = <<"NO_ROUTE">>, routing_key = Key},
     #amqp_msg{payload = <<"lost">>, props = #'P_basic'{headers = [{<<"kept">>, bool, true}]}}} = First,
    receive #'basic.ack'{delivery_tag = 1} -> ok after 5000 -> error(no_confirm) end.

get(Channel, Queue) ->
    checks:eventually(message, fun() ->
        case amqp_channel:call(Channel, #'basic.get'{queue = Queue}) of
            {#'basic.get_ok'{} = Got, Message} -> {Got, Message};
            #'basic.get_empty'{} -> false
        end
    end).

requeue(Channel) ->
    Queue = queue(Channel),
    [publish(Channel, <<>>, Queue, Body) || Body <- [<<"a">>, <<"b">>]],
    {#'basic.get_ok'{delivery_tag = T1, redelivered = false, message_count = 1}, _} = get(Channel, Queue),
    amqp_channel:cast(Channel, #'basic.nack'{delivery_tag = T1, requeue = true}),
    {#'basic.get_ok'{delivery_tag = T2, redelivered = true}, #amqp_msg{payload = <<"a">>}} = get(Channel, Queue),
    amqp_channel:cast(Channel, #'basic.reject'{delivery_tag = T2, requeue = false}),
    {#'basic.get_ok'{redelivered = false}, #amqp_msg{payload = <<"b">>}} = get(Channel, Queue),
    #'basic.recover_ok'{} = amqp_channel:call(Channel, #'basic.recover'{requeue = true}),
    {#'basic.get_ok'{redelivered = true}, #amqp_msg{payload = <<"b">>}} = get(Channel, Queue),
    #'basic.get_empty'{} = amqp_channel:call(Channel, #'basic.get'{queue = Queue}).

every_field_type() -> [
    {<<"longstr">>, longstr, <<"Größe 東京"/utf8>>}, {<<"signedint">>, signedint, -42},
    {<<"unsignedint">>, unsignedint, 4000000000}, {<<"long">>, long, -(1 bsl 40)},
    {<<"byte">>, byte, -4}, {<<"short">>, short, -300}, {<<"unsignedbyte">>, unsignedbyte, 200},
    {<<"unsignedshort">>, unsignedshort, 60000}, {<<"bool">>, bool, true}, {<<"no">>, bool, false},
    {<<"double">>, double, 2.5}, {<<"float">>, float, 0.5}, {<<"decimal">>, decimal, {2, 12345}},
    {<<"timestamp">>, timestamp, 1790000000}, {<<"void">>, void, undefined},
    {<<"binary">>, binary, <<0, 255, 1>>},
    {<<"table">>, table, [{<<"deep">>, array, [{signedint, 1}, {longstr, <<"two">>}, {bool, true}]}]},
    {<<"array">>, array, [{long, 1}, {table, []}, {void, undefined}]}
].

field_types(Channel) ->
    Queue = queue(Channel),
    Headers = every_field_type(),
    publish(Channel, <<>>, Queue, <<>>, #'P_basic'{headers = Headers}),
    [{_, #amqp_msg{props = #'P_basic'{headers = Got}}}] = collect(Channel, Queue, 1),
    [begin
        Found = lists:keyfind(Key, 1, Got),
        case Found of Header -> ok; _ -> error({Header, Found}) end
    end || {Key, _, _} = Header <- Headers],
    true = length(Got) =:= length(Headers).

properties(Channel) ->
    Queue = queue(Channel),
    Sent = #'P_basic'{
        content_type = <<"text/plain">>, content_encoding = <<"utf-8">>, headers = [{<<"a">>, long, 1}],
        delivery_mode = 2, priority = 3, correlation_id = <<"c">>, reply_to = <<"r">>,
        expiration = <<"60000">>, message_id = <<"m">>, timestamp = 1790000000, type = <<"t">>,
        user_id = <<"guest">>, app_id = <<"a">>, cluster_id = <<"cl">>},
    publish(Channel, <<>>, Queue, <<"x">>, Sent),
    [{_, #amqp_msg{props = Sent}}] = collect(Channel, Queue, 1).

dead_letter(Channel) ->
    Dead = queue(Channel),
    Queue = queue(Channel, [
        {<<"x-message-ttl">>, signedint, 30}, {<<"x-dead-letter-exchange">>, longstr, <<>>},
        {<<"x-dead-letter-routing-key">>, longstr, Dead}]),
    publish(Channel, <<>>, Queue, <<"late">>),
    [{_, #amqp_msg{props = #'P_basic'{headers = Headers}}}] = collect(Channel, Dead, 1),
    {_, array, [{table, Death}]} = lists:keyfind(<<"x-death">>, 1, Headers),
    {_, longstr, <<"expired">>} = lists:keyfind(<<"reason">>, 1, Death),
    {_, longstr, Queue} = lists:keyfind(<<"queue">>, 1, Death),
    {_, long, 1} = lists:keyfind(<<"count">>, 1, Death),
    {_, timestamp, _} = lists:keyfind(<<"time">>, 1, Death),
    {_, array, [{longstr, Queue}]} = lists:keyfind(<<"routing-keys">>, 1, Death).

transactions(Channel) ->
    Queue = queue(Channel),
    Count = fun() ->
        #'queue.declare_ok'{message_count = C} = amqp_channel:call(Channel,
            #'queue.declare'{queue = Queue, passive = true}),
        C
    end,
    #'tx.select_ok'{} = amqp_channel:call(Channel, #'tx.select'{}),
    publish(Channel, <<>>, Queue, <<"a">>),
    0 = Count(),
    #'tx.commit_ok'{} = amqp_channel:call(Channel, #'tx.commit'{}),
    1 = Count(),
    publish(Channel, <<>>, Queue, <<"b">>),
    #'tx.rollback_ok'{} = amqp_channel:call(Channel, #'tx.rollback'{}),
    1 = Count().

%% The reason with which the server closes a channel after `Run`.
channel_error(Connection, Run) ->
    {ok, Channel} = amqp_connection:open_channel(Connection),
    Reference = monitor(process, Channel),
    try Run(Channel) catch exit:_ -> ok end,
    receive {'DOWN', Reference, process, Channel, Reason} ->
        case Reason of
            {shutdown, {server_initiated_close, Code, Text}} -> {Code, Text};
            {{shutdown, {server_initiated_close, Code, Text}}, _} -> {Code, Text}
        end
    after 5000 -> error(still_open) end.

errors(Connection) ->
    Missing = checks:unique("missing"),
    Text = <<"NOT_FOUND - no queue '", Missing/binary, "' in vhost '/'">>,
    {404, Text} = channel_error(Connection, fun(Channel) ->
        amqp_channel:call(Channel, #'queue.declare'{queue = Missing, passive = true}) end),
    {404, _} = channel_error(Connection, fun(Channel) -> publish(Channel, Missing, <<>>, <<>>) end),
    {403, _} = channel_error(Connection, fun(Channel) ->
        amqp_channel:call(Channel, #'exchange.delete'{exchange = <<"amq.topic">>}) end),
    {406, Inequivalent} = channel_error(Connection, fun(Channel) ->
        Queue = queue(Channel, [{<<"x-max-length">>, long, 1}]),
        amqp_channel:call(Channel, #'queue.declare'{queue = Queue, exclusive = true,
            arguments = [{<<"x-max-length">>, long, 2}]}) end),
    {_, _} = binary:match(Inequivalent, <<"inequivalent arg 'x-max-length'">>),
    {406, Unknown} = channel_error(Connection, fun(Channel) ->
        amqp_channel:cast(Channel, #'basic.ack'{delivery_tag = 7}) end),
    {_, _} = binary:match(Unknown, <<"unknown delivery tag 7">>),
    true = is_process_alive(Connection).

login_errors() ->
    Parameters = checks:parameters(),
    {error, {auth_failure, Text}} = amqp_connection:start(
        Parameters#amqp_params_network{password = <<"wrong">>}),
    {match, _} = re:run(Text, "Login was refused using authentication mechanism PLAIN"),
    {error, Reason} = amqp_connection:start(
        Parameters#amqp_params_network{virtual_host = <<"no-such-vhost">>}),
    true = Reason =:= not_allowed orelse Reason =:= access_refused orelse error(Reason).

cancelled(Connection, Channel) ->
    Queue = queue(Channel),
    amqp_channel:subscribe(Channel, #'basic.consume'{queue = Queue, consumer_tag = <<"t">>}, self()),
    receive #'basic.consume_ok'{} -> ok end,
    with_channel(Connection, fun(Other) ->
        amqp_channel:call(Other, #'queue.delete'{queue = Queue}) end),
    receive #'basic.cancel'{consumer_tag = <<"t">>} -> ok after 5000 -> error(no_cancel) end.

large(Channel) ->
    Queue = queue(Channel),
    Body = binary:copy(crypto:strong_rand_bytes(1024), checks:large_bytes() div 1024),
    publish(Channel, <<>>, Queue, Body),
    [Body] = bodies(collect(Channel, Queue, 1)).

handlers(Connection, Channel) ->
    amqp_channel:register_flow_handler(Channel, self()),
    ok = amqp_connection:register_blocked_handler(Connection, self()),
    [{server_properties, Properties}] = amqp_connection:info(Connection, [server_properties]),
    {_, table, Capabilities} = lists:keyfind(<<"capabilities">>, 1, Properties),
    {_, bool, true} = lists:keyfind(<<"publisher_confirms">>, 1, Capabilities),
    #'channel.flow_ok'{active = true} = amqp_channel:call(Channel, #'channel.flow'{active = true}).

tls() ->
    case os:getenv("AMQPS_URL") of
        false -> throw(skip);
        _ -> ok
    end,
    {ok, Parsed} = amqp_uri:parse(os:getenv("AMQPS_URL")),
    File = fun(Name) -> filename:join(os:getenv("TLS_DIRECTORY"), Name) end,
    Trust = [{cacertfile, File("ca.pem")}, {verify, verify_peer}, {server_name_indication, "localhost"}],
    Certificate = [{certfile, File("guest.pem")}, {keyfile, File("guest.key")}],
    External = [fun amqp_auth_mechanisms:external/3],
    [begin
        {ok, Connection} = amqp_connection:start(Parameters),
        with_channel(Connection, fun(Channel) ->
            Queue = queue(Channel),
            Body = binary:copy(<<"tls">>, 100000),
            publish(Channel, <<>>, Queue, Body),
            [Body] = bodies(collect(Channel, Queue, 1))
        end),
        amqp_connection:close(Connection)
    end || Parameters <- [
        Parsed#amqp_params_network{ssl_options = Trust},
        Parsed#amqp_params_network{ssl_options = Trust ++ Certificate, auth_mechanisms = External}
    ]].

restart() ->
    case os:getenv("RESTART_COMMAND") of
        false -> throw(skip);
        _ -> ok
    end,
    {ok, Connection} = amqp_connection:start(checks:parameters()),
    Reference = monitor(process, Connection),
    {ok, Channel} = amqp_connection:open_channel(Connection),
    Queue = checks:unique("erlang"),
    amqp_channel:call(Channel, #'queue.declare'{queue = Queue, durable = true}),
    amqp_channel:call(Channel, #'confirm.select'{}),
    publish(Channel, <<>>, Queue, <<"kept">>, #'P_basic'{delivery_mode = 2}),
    true = amqp_channel:wait_for_confirms(Channel, 10),
    checks:restart_broker(),
    receive {'DOWN', Reference, process, Connection, Reason} ->
        {shutdown, {server_initiated_close, 320, _}} = Reason
    after 5000 -> error(connection_alive) end,
    {ok, Second} = amqp_connection:start(checks:parameters()),
    with_channel(Second, fun(Again) ->
        {_, #amqp_msg{payload = <<"kept">>}} = get(Again, Queue),
        amqp_channel:call(Again, #'queue.delete'{queue = Queue})
    end),
    amqp_connection:close(Second).
