%% The inventory: takes reservations of the order service, tells it and shipping, hears what was picked.
-module(inventory).
-export([main/0]).
-include_lib("amqp_client/include/amqp_client.hrl").

main() ->
    Code = try work() of
        ok -> 0
    catch
        Class:Reason:Stack ->
            io:format("inventory in Erlang: ~0p ~0p ~0p~n", [Class, Reason, hd(Stack)]),
            1
    end,
    halt(Code).

work() ->
    Run = list_to_binary(os:getenv("PLATFORM_RUN")),
    Orders = list_to_integer(os:getenv("PLATFORM_ORDERS")),
    {ok, Connection} = amqp_connection:start(checks:parameters()),
    {ok, Channel} = amqp_connection:open_channel(Connection),
    #'confirm.select_ok'{} = amqp_channel:call(Channel, #'confirm.select'{}),
    #'basic.qos_ok'{} = amqp_channel:call(Channel, #'basic.qos'{prefetch_count = 5}),
    Queue = <<Run/binary, ".inventory">>,
    amqp_channel:subscribe(Channel, #'basic.consume'{queue = Queue}, self()),
    receive #'basic.consume_ok'{} -> ok end,
    loop(Channel, Run, Orders, 0, 0),
    amqp_connection:close(Connection),
    ok.

loop(_, _, Orders, Orders, Orders) -> ok;
loop(Channel, Run, Orders, Reserved, Picked) ->
    receive
        {#'basic.deliver'{routing_key = Key, delivery_tag = Tag},
         #amqp_msg{payload = Body, props = #'P_basic'{headers = Headers}}} ->
            Number = binary_to_integer(Body),
            Expected = case Key of
                <<"inventory.order">> -> from_java();
                <<"inventory.shipping">> -> from_python()
            end,
            same(Headers, Expected),
            case Key of
                <<"inventory.order">> ->
                    Number = Reserved + 1,
                    send(Channel, Run, <<"order.inventory">>, Body),
                    send(Channel, Run, <<"shipping.inventory">>, Body),
                    true = amqp_channel:wait_for_confirms(Channel, 10),
                    amqp_channel:cast(Channel, #'basic.ack'{delivery_tag = Tag}),
                    loop(Channel, Run, Orders, Number, Picked);
                <<"inventory.shipping">> ->
                    Number = Picked + 1,
                    amqp_channel:cast(Channel, #'basic.ack'{delivery_tag = Tag}),
                    loop(Channel, Run, Orders, Reserved, Number)
            end;
        #'basic.cancel'{} -> error(cancelled)
    after 30000 -> error({late, Reserved, Picked}) end.

send(Channel, Run, Key, Body) ->
    ok = amqp_channel:call(Channel, #'basic.publish'{exchange = Run, routing_key = Key, mandatory = true},
        #amqp_msg{payload = Body, props = #'P_basic'{
            delivery_mode = 2, headers = client_checks:every_field_type()}}).

%% Every header with its type tag, none more, none less.
same(Got, Expected) ->
    case {lists:sort(Got) -- lists:sort(Expected), lists:sort(Expected) -- lists:sort(Got)} of
        {[], []} -> ok;
        {Extra, Missing} -> error({headers, {got, Extra}, {expected, Missing}})
    end.

from_java() -> [
    {<<"string">>, longstr, <<"Größe 東京"/utf8>>}, {<<"int">>, signedint, -42},
    {<<"long">>, long, 1 bsl 40}, {<<"short">>, short, -3}, {<<"byte">>, byte, -4},
    {<<"boolean">>, bool, true}, {<<"double">>, double, 2.5}, {<<"float">>, float, 0.5},
    {<<"decimal">>, decimal, {2, 12345}}, {<<"timestamp">>, timestamp, 1790000000},
    {<<"void">>, void, undefined}, {<<"bytes">>, binary, <<0, 255, 1>>},
    {<<"table">>, table, [{<<"deep">>, array,
        [{signedint, 1}, {longstr, <<"two">>}, {void, undefined}]}]},
    {<<"array">>, array, [{signedint, 1}, {long, 2}, {bool, true}, {double, 1.5}]}
].

from_python() -> [
    {<<"str">>, longstr, <<"Größe 東京"/utf8>>}, {<<"int">>, signedint, -42}, {<<"long">>, long, 1 bsl 40},
    {<<"true">>, bool, true}, {<<"false">>, bool, false}, {<<"none">>, void, undefined},
    {<<"decimal">>, decimal, {2, 12345}},
    {<<"datetime">>, timestamp, 1790000000}, {<<"double">>, double, 2.5},
    {<<"list">>, array, [{longstr, <<"x">>}, {signedint, 1}, {array, [{bool, true}, {void, undefined}]}]},
    {<<"dict">>, table, [{<<"a">>, table, [{<<"b">>, longstr, <<"c">>}]}]}
].
