// The Go client: one check per messaging pattern and protocol feature.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	address    = environment("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
	largeBytes = number("LARGE_MESSAGE_BYTES", 20*1024*1024)
	connection *amqp.Connection
	failures   int
)

type skip struct{}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func number(name string, fallback int) int {
	value, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return fallback
	}
	return value
}

func unique(label string) string {
	return fmt.Sprintf("clients.%s.%d.%08x", label, os.Getpid(), rand.Uint32())
}

// check runs one check in a goroutine with a limit and reports it; a panic is its failure.
func check(name string, run func()) {
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		run()
	}()
	var failure any
	select {
	case failure = <-done:
	case <-time.After(30 * time.Second):
		failure = "timed out"
	}
	switch failure.(type) {
	case nil:
		fmt.Println("ok " + name)
	case skip:
		fmt.Println("skip " + name)
	default:
		failures++
		fmt.Printf("not ok %s: %s\n", name, strings.ReplaceAll(fmt.Sprint(failure), "\n", " "))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(got, expected any) {
	if !reflect.DeepEqual(got, expected) {
		panic(fmt.Sprintf("got %#v, expected %#v", got, expected))
	}
}

func withChannel(run func(channel *amqp.Channel)) func() {
	return func() {
		channel, err := connection.Channel()
		must(err)
		defer channel.Close()
		run(channel)
	}
}

func queue(channel *amqp.Channel, arguments amqp.Table) string {
	declared, err := channel.QueueDeclare(unique("go"), false, false, true, false, arguments)
	must(err)
	return declared.Name
}

func exchange(channel *amqp.Channel, kind string) string {
	name := unique("go")
	must(channel.ExchangeDeclare(name, kind, false, true, false, false, nil))
	return name
}

func publish(channel *amqp.Channel, to, key string, message amqp.Publishing) {
	must(channel.PublishWithContext(context.Background(), to, key, false, false, message))
}

func collect(channel *amqp.Channel, name string, count int) []amqp.Delivery {
	tag := unique("tag")
	arrived, err := channel.Consume(name, tag, true, false, false, false, nil)
	must(err)
	taken := make([]amqp.Delivery, 0, count)
	for len(taken) < count {
		select {
		case delivery := <-arrived:
			taken = append(taken, delivery)
		case <-time.After(10 * time.Second):
			panic(fmt.Sprintf("%d of %d messages", len(taken), count))
		}
	}
	must(channel.Cancel(tag, false))
	for delivery := range arrived {
		panic("one too many: " + string(delivery.Body))
	}
	return taken
}

func get(channel *amqp.Channel, name string) amqp.Delivery {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		delivery, found, err := channel.Get(name, false)
		must(err)
		if found {
			return delivery
		}
		time.Sleep(10 * time.Millisecond)
	}
	panic("no message")
}

func workQueue(channel *amqp.Channel) {
	name := queue(channel, nil)
	must(channel.Qos(1, 0, false))
	arrived, err := channel.Consume(name, "", false, false, false, false, nil)
	must(err)
	for task := 0; task < 50; task++ {
		publish(channel, "", name, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(strconv.Itoa(task))})
	}
	for task := 0; task < 50; task++ {
		delivery := <-arrived
		equal(string(delivery.Body), strconv.Itoa(task))
		equal(delivery.DeliveryTag, uint64(task+1))
		select {
		case <-arrived:
			panic("more than the prefetch")
		default:
		}
		must(delivery.Ack(false))
	}
}

func routing(channel *amqp.Channel) {
	for _, one := range []struct {
		kind, key      string
		sent, expected []string
	}{
		{"fanout", "", []string{"a", "b"}, []string{"a", "b"}},
		{"direct", "a", []string{"a", "b"}, []string{"a"}},
		{"topic", "#.b.*", []string{"b.c", "a.a.b.c", "b", "b.c.d"}, []string{"b.c", "a.a.b.c"}},
	} {
		source, name := exchange(channel, one.kind), queue(channel, nil)
		must(channel.QueueBind(name, one.key, source, false, nil))
		for _, key := range one.sent {
			publish(channel, source, key, amqp.Publishing{})
		}
		for index, delivery := range collect(channel, name, len(one.expected)) {
			equal(delivery.RoutingKey, one.expected[index])
		}
		must(channel.QueueUnbind(name, one.key, source, nil))
	}
	source, next, name := exchange(channel, "headers"), exchange(channel, "fanout"), queue(channel, nil)
	must(channel.QueueBind(name, "", next, false, nil))
	must(channel.ExchangeBind(next, "", source, false, amqp.Table{"x-match": "all", "a": int32(1), "b": "x"}))
	publish(channel, source, "", amqp.Publishing{Headers: amqp.Table{"a": int32(1)}, Body: []byte("no")})
	publish(channel, source, "", amqp.Publishing{Headers: amqp.Table{"a": int32(1), "b": "x"}, Body: []byte("yes")})
	equal(string(collect(channel, name, 1)[0].Body), "yes")
}

func rpc(replyTo func(channel *amqp.Channel) string) func(channel *amqp.Channel) {
	return func(channel *amqp.Channel) {
		requests := queue(channel, nil)
		server, err := connection.Channel()
		must(err)
		defer server.Close()
		asked, err := server.Consume(requests, "", true, false, false, false, nil)
		must(err)
		go func() {
			for request := range asked {
				_ = server.PublishWithContext(context.Background(), "", request.ReplyTo, false, false,
					amqp.Publishing{CorrelationId: request.CorrelationId, Body: append([]byte("re: "), request.Body...)})
			}
		}()
		back := replyTo(channel)
		replies, err := channel.Consume(back, "", true, false, false, false, nil)
		must(err)
		for n := 0; n < 10; n++ {
			id := strconv.Itoa(n)
			publish(channel, "", requests, amqp.Publishing{ReplyTo: back, CorrelationId: id, Body: []byte(id)})
			reply := <-replies
			equal(reply.CorrelationId, id)
			equal(string(reply.Body), "re: "+id)
		}
	}
}

func confirms(channel *amqp.Channel) {
	must(channel.Confirm(false))
	name := queue(channel, nil)
	pending := make([]*amqp.DeferredConfirmation, 0, 500)
	for n := 0; n < 500; n++ {
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), "", name, false, false,
			amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("x")})
		must(err)
		equal(confirmation.DeliveryTag, uint64(n+1))
		pending = append(pending, confirmation)
	}
	for _, confirmation := range pending {
		equal(confirmation.Wait(), true)
	}
	full := queue(channel, amqp.Table{"x-max-length": int32(0), "x-overflow": "reject-publish"})
	confirmation, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), "", full, false, false,
		amqp.Publishing{Body: []byte("x")})
	must(err)
	equal(confirmation.Wait(), false)
}

func mandatory(channel *amqp.Channel) {
	must(channel.Confirm(false))
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirmation, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), "", unique("nowhere"), true,
		false, amqp.Publishing{Headers: amqp.Table{"kept": true}, Body: []byte("lost")})
	must(err)
	equal(confirmation.Wait(), true)
	select {
	case back := <-returned:
		equal([]any{back.ReplyCode, back.ReplyText, string(back.Body), back.Headers["kept"]},
			[]any{uint16(312), "NO_ROUTE", "lost", true})
	default:
		panic("nothing returned before the confirm")
	}
}

func requeue(channel *amqp.Channel) {
	name := queue(channel, nil)
	publish(channel, "", name, amqp.Publishing{Body: []byte("a")})
	publish(channel, "", name, amqp.Publishing{Body: []byte("b")})
	first := get(channel, name)
	equal(first.Redelivered, false)
	must(first.Nack(false, true))
	again := get(channel, name)
	equal(string(again.Body), "a")
	equal(again.Redelivered, true)
	must(again.Reject(false))
	second := get(channel, name)
	equal(string(second.Body), "b")
	must(second.Ack(true))
	_, found, err := channel.Get(name, true)
	must(err)
	equal(found, false)
}

func fieldTypes(channel *amqp.Channel) {
	name := queue(channel, nil)
	sent := amqp.Table{
		"string": "Größe 東京", "bool": true, "byte": byte(200), "int8": int8(-4), "int16": int16(-300),
		"int32": int32(-42), "int64": int64(-1 << 40), "float32": float32(0.5), "float64": 2.5,
		"decimal": amqp.Decimal{Scale: 2, Value: 12345}, "time": time.Unix(1790000000, 0), "void": nil,
		"bytes": []byte{0, 255, 1}, "array": []any{int32(1), "two", true, nil},
		"table": amqp.Table{"deep": amqp.Table{"er": int64(1)}},
	}
	publish(channel, "", name, amqp.Publishing{Headers: sent})
	got := collect(channel, name, 1)[0].Headers
	equal(len(got), len(sent))
	for key, value := range sent {
		if at, isTime := value.(time.Time); isTime {
			equal(got[key].(time.Time).Unix(), at.Unix())
			continue
		}
		equal(got[key], value)
	}
}

func properties(channel *amqp.Channel) {
	name := queue(channel, nil)
	publish(channel, "", name, amqp.Publishing{
		ContentType: "text/plain", ContentEncoding: "utf-8", DeliveryMode: 2, Priority: 4, CorrelationId: "c",
		ReplyTo: "r", Expiration: "60000", MessageId: "m", Timestamp: time.Unix(1790000000, 0), Type: "t",
		UserId: "guest", AppId: "a", Body: []byte("x"),
	})
	got := collect(channel, name, 1)[0]
	equal([]any{got.ContentType, got.ContentEncoding, got.DeliveryMode, got.Priority, got.CorrelationId, got.ReplyTo,
		got.Expiration, got.MessageId, got.Timestamp.Unix(), got.Type, got.UserId, got.AppId},
		[]any{"text/plain", "utf-8", uint8(2), uint8(4), "c", "r", "60000", "m", int64(1790000000), "t", "guest", "a"})
}

func deadLetter(channel *amqp.Channel) {
	dead := queue(channel, nil)
	name := queue(channel, amqp.Table{
		"x-message-ttl": int32(30), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
	publish(channel, "", name, amqp.Publishing{Body: []byte("late")})
	death := collect(channel, dead, 1)[0].Headers["x-death"].([]any)[0].(amqp.Table)
	equal([]any{death["reason"], death["queue"], death["count"], death["exchange"]},
		[]any{"expired", name, int64(1), ""})
}

func transactions(channel *amqp.Channel) {
	name := queue(channel, nil)
	count := func() int {
		state, err := channel.QueueDeclarePassive(name, false, false, true, false, nil)
		must(err)
		return state.Messages
	}
	must(channel.Tx())
	publish(channel, "", name, amqp.Publishing{Body: []byte("a")})
	equal(count(), 0)
	must(channel.TxCommit())
	equal(count(), 1)
	publish(channel, "", name, amqp.Publishing{Body: []byte("b")})
	must(channel.TxRollback())
	equal(count(), 1)
}

func channelError(run func(channel *amqp.Channel)) *amqp.Error {
	channel, err := connection.Channel()
	must(err)
	closed := channel.NotifyClose(make(chan *amqp.Error, 1))
	run(channel)
	select {
	case reason := <-closed:
		return reason
	case <-time.After(5 * time.Second):
		panic("the channel stayed open")
	}
}

func errors() {
	missing := unique("missing")
	got := channelError(func(channel *amqp.Channel) {
		_, _ = channel.QueueDeclarePassive(missing, false, false, false, false, nil)
	})
	equal([]any{got.Code, got.Reason, got.Server}, []any{404, "NOT_FOUND - no queue '" + missing + "' in vhost '/'", true})
	got = channelError(func(channel *amqp.Channel) { publish(channel, missing, "", amqp.Publishing{}) })
	equal(got.Code, 404)
	got = channelError(func(channel *amqp.Channel) { _ = channel.ExchangeDelete("amq.fanout", false, false) })
	equal(got.Code, 403)
	got = channelError(func(channel *amqp.Channel) {
		_ = channel.ExchangeDeclare("amq.direct", "topic", true, false, false, false, nil)
	})
	equal(got.Code, 406)
	got = channelError(func(channel *amqp.Channel) { _ = channel.Ack(3, false) })
	equal([]any{got.Code, strings.Contains(got.Reason, "unknown delivery tag 3")}, []any{406, true})
	equal(connection.IsClosed(), false)
}

func loginErrors() {
	wrong, err := url.Parse(address)
	must(err)
	wrong.User = url.UserPassword("guest", "wrong")
	_, err = amqp.Dial(wrong.String())
	refused, isError := err.(*amqp.Error)
	equal(isError && refused.Code == 403, true)
	_, err = amqp.DialConfig(address, amqp.Config{Vhost: "no-such-vhost"})
	if err == nil {
		panic("no such vhost")
	}
}

func cancelled(channel *amqp.Channel) {
	name := queue(channel, nil)
	cancels := channel.NotifyCancel(make(chan string, 1))
	arrived, err := channel.Consume(name, "the-tag", false, false, false, false, nil)
	must(err)
	withChannel(func(other *amqp.Channel) {
		_, err := other.QueueDelete(name, false, false, false)
		must(err)
	})()
	select {
	case tag := <-cancels:
		equal(tag, "the-tag")
	case <-time.After(5 * time.Second):
		panic("no cancel")
	}
	_, open := <-arrived
	equal(open, false)
}

func large(channel *amqp.Channel) {
	name := queue(channel, nil)
	body := bytes.Repeat([]byte("0123456789abcdef"), largeBytes/16)
	publish(channel, "", name, amqp.Publishing{Body: body})
	equal(bytes.Equal(collect(channel, name, 1)[0].Body, body), true)
}

func overTLS() {
	secureAddress := os.Getenv("AMQPS_URL")
	if secureAddress == "" {
		panic(skip{})
	}
	directory := os.Getenv("TLS_DIRECTORY")
	authority, err := os.ReadFile(directory + "/ca.pem")
	must(err)
	trusted := x509.NewCertPool()
	equal(trusted.AppendCertsFromPEM(authority), true)
	own, err := tls.LoadX509KeyPair(directory+"/guest.pem", directory+"/guest.key")
	must(err)
	plain := amqp.Config{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	external := amqp.Config{
		TLSClientConfig: &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{own}},
		SASL:            []amqp.Authentication{&amqp.ExternalAuth{}},
	}
	for _, config := range []amqp.Config{plain, external} {
		secure, err := amqp.DialConfig(secureAddress, config)
		must(err)
		channel, err := secure.Channel()
		must(err)
		name := queue(channel, nil)
		body := bytes.Repeat([]byte("tls"), 100000)
		publish(channel, "", name, amqp.Publishing{Body: body})
		equal(bytes.Equal(collect(channel, name, 1)[0].Body, body), true)
		must(secure.Close())
	}
	_, err = amqp.Dial(secureAddress)
	equal(err != nil, true)
}

func restart() {
	command := os.Getenv("RESTART_COMMAND")
	if command == "" {
		panic(skip{})
	}
	first, err := amqp.Dial(address)
	must(err)
	channel, err := first.Channel()
	must(err)
	closed := first.NotifyClose(make(chan *amqp.Error, 1))
	name := unique("go")
	_, err = channel.QueueDeclare(name, true, false, false, false, nil)
	must(err)
	must(channel.Confirm(false))
	confirmation, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), "", name, false, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("kept")})
	must(err)
	equal(confirmation.Wait(), true)
	must(exec.Command(command, "restart").Run())
	reason := <-closed
	equal(reason != nil && reason.Code == 320, true)
	second, err := amqp.Dial(address)
	must(err)
	defer second.Close()
	again, err := second.Channel()
	must(err)
	equal(string(get(again, name).Body), "kept")
	_, err = again.QueueDelete(name, false, false, false)
	must(err)
}

func main() {
	var err error
	connection, err = amqp.Dial(address)
	must(err)
	check("work queue: prefetch 1 and acknowledgements", withChannel(workQueue))
	check("fanout, direct, topic, headers and exchange bindings", withChannel(routing))
	check("rpc through an exclusive queue", withChannel(rpc(func(channel *amqp.Channel) string { return queue(channel, nil) })))
	check("rpc by direct reply-to", withChannel(rpc(func(*amqp.Channel) string { return "amq.rabbitmq.reply-to" })))
	check("publisher confirms and nack of a full queue", withChannel(confirms))
	check("mandatory return before the confirm", withChannel(mandatory))
	check("get, nack, reject, multiple ack", withChannel(requeue))
	check("headers: every field type with its Go type", withChannel(fieldTypes))
	check("properties arrive", withChannel(properties))
	check("ttl and dead letter", withChannel(deadLetter))
	check("transactions", withChannel(transactions))
	check("errors: channel codes and texts", errors)
	check("errors: login and vhost", loginErrors)
	check("consumer cancel notification", withChannel(cancelled))
	check(fmt.Sprintf("large message of %d bytes", largeBytes), withChannel(large))
	check("blocked notifications and update-secret", func() {
		connection.NotifyBlocked(make(chan amqp.Blocking, 1))
		must(connection.UpdateSecret("guest", "rotation"))
	})
	must(connection.Close())
	check("tls: verified, and by client certificate with EXTERNAL", overTLS)
	check("a new connection finds the queue after a restart", restart)
	if failures > 0 {
		os.Exit(1)
	}
}
