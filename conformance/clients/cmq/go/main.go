// The vendor's Go SDK of CMQ (data flow), unmodified: each action, by POST and GET, with both hashes.
// Needs a queue and two topics, which place.mjs makes.
//
//	CMQ_URL, CMQ_SECRET_ID, CMQ_SECRET_KEY   the gateway and a key
//	CMQ_NAME                                 the queue; topics are CMQ_NAME-tags and CMQ_NAME-keys
package main

import (
	"fmt"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"

	tcmq "github.com/TencentCloud/tencentcloud-cmq-sdk-go"
)

const text = "Grüße, 消息 + & = % \"quoted\" \n next"

var (
	name     = os.Getenv("CMQ_NAME")
	failures int
)

// check runs one check and prints its line; a panic is its failure.
func check(label string, run func()) {
	defer func() {
		if failure := recover(); failure != nil {
			failures++
			fmt.Printf("not ok %s: %s\n", label, strings.ReplaceAll(fmt.Sprint(failure), "\n", " "))
			return
		}
		fmt.Printf("ok %s\n", label)
	}()
	run()
}

func must(isTrue bool, what string, found any) {
	if !isTrue {
		panic(fmt.Sprintf("%s: %v", what, found))
	}
}

// done is a reply of code 0 that belongs to this client's request.
func done(client *tcmq.Client, reply tcmq.Result, err error) {
	must(err == nil, "error", err)
	must(reply.StatusCode() == http.StatusOK, "status", reply.StatusCode())
	must(reply.Code() == 0, "code", reply)
	must(reply.RequestId() != "", "no requestId", reply)
	must(reply.ClientId() == client.Id, "clientRequestId", reply)
}

func refused(reply tcmq.Result, err error, code int, part string) {
	must(err == nil, "error", err)
	must(reply.Code() == code && strings.Contains(reply.Message(), part), "code", reply)
}

func receive(queue *tcmq.Queue) tcmq.ResponseRM {
	reply, err := queue.Receive()
	done(queue.Client, reply, err)
	return reply
}

// drain takes and deletes what is in the queue; its bodies, sorted.
func drain(queue *tcmq.Queue) []string {
	bodies := []string{}
	for {
		reply, err := queue.Client.BatchReceiveMessage(queue.Name, 0, 16)
		must(err == nil, "error", err)
		if reply.Code() == 7000 {
			sort.Strings(bodies)
			return bodies
		}
		done(queue.Client, reply, err)
		handles := []string{}
		for _, message := range reply.MsgInfos() {
			bodies = append(bodies, message.MsgBody())
			handles = append(handles, message.Handle())
		}
		deleted, err := queue.BatchDelete(handles...)
		done(queue.Client, deleted, err)
	}
}

func queueChecks(mode string, queue *tcmq.Queue) {
	check(mode+": SendMessage, ReceiveMessage, DeleteMessage", func() {
		sent, err := queue.Send(text)
		done(queue.Client, sent, err)
		got := receive(queue)
		must(got.MsgBody() == text && got.MsgId() == sent.MsgId(), "message", got)
		must(got.DequeueCount() == 1, "dequeueCount", got)
		now := time.Now().Unix()
		must(got.EnqueueTime() > now-60 && got.NextVisibleTime() >= now, "times", got)
		deleted, err := queue.Delete(got.Handle())
		done(queue.Client, deleted, err)
	})
	check(mode+": a lease ends, and its handle with it", func() {
		sent, err := queue.Send("lease")
		done(queue.Client, sent, err)
		first := receive(queue)
		second := receive(queue)
		must(second.MsgId() == first.MsgId() && second.DequeueCount() == 2, "again", second)
		late, err := queue.Delete(first.Handle())
		refused(late, err, 4430, "10260")
		deleted, err := queue.Delete(second.Handle())
		done(queue.Client, deleted, err)
	})
	check(mode+": BatchSendMessage, BatchReceiveMessage, BatchDeleteMessage", func() {
		bodies := []string{}
		for at := 0; at < 16; at++ {
			bodies = append(bodies, fmt.Sprintf("%02d %s", at, text))
		}
		sent, err := queue.BatchSend(bodies...)
		done(queue.Client, sent, err)
		must(len(sent.MsgIDs()) == 16 && sent.MsgIDs()[15].MsgId() != "", "ids", sent)
		must(strings.Join(drain(queue), "|") == strings.Join(bodies, "|"), "bodies", bodies)
	})
	check(mode+": BatchDeleteMessage tells which handles are none", func() {
		deleted, err := queue.BatchDelete("no-handle", "no-handle-either")
		must(err == nil && deleted.Code() != 0 && len(deleted.Errors()) == 2, "errors", deleted)
		must(deleted.Errors()[0].Handle() == "no-handle", "handle", deleted)
	})
	check(mode+": a delay", func() {
		delayed := &tcmq.Queue{Client: queue.Client, Name: queue.Name, DelaySeconds: 2, PollingWaitSeconds: 10}
		begin := time.Now()
		sent, err := delayed.Send("later")
		done(queue.Client, sent, err)
		got := receive(delayed)
		must(got.MsgBody() == "later" && time.Since(begin) >= 1900*time.Millisecond, "early", time.Since(begin))
		deleted, err := queue.Delete(got.Handle())
		done(queue.Client, deleted, err)
	})
	check(mode+": an empty queue and one that is not there", func() {
		reply, err := queue.Client.ReceiveMessage(name, 0)
		refused(reply, err, 7000, "10200")
		reply, err = queue.Client.ReceiveMessage(name+"-missing", 0)
		refused(reply, err, 4440, "10100")
	})
}

func topicChecks(mode string, client *tcmq.Client, queue *tcmq.Queue) {
	check(mode+": PublishMessage with tags", func() {
		for _, tags := range [][]string{{"red"}, {"blue"}, {"blue", "red"}} {
			topic := &tcmq.Topic{Client: client, Name: name + "-tags", Tags: tags}
			sent, err := topic.Publish(strings.Join(tags, "+"))
			done(client, sent, err)
			must(sent.MsgId() != "", "id", sent)
		}
		must(strings.Join(drain(queue), " ") == "blue+red red", "matched", "other messages")
	})
	check(mode+": BatchPublishMessage with a routing key", func() {
		topic := &tcmq.Topic{Client: client, Name: name + "-keys", RoutingKey: "a.b.c"}
		sent, err := topic.BatchPublish("a.b.c 1", "a.b.c 2")
		done(client, sent, err)
		must(len(sent.MsgIDs()) == 2, "ids", sent)
		topic.RoutingKey = "b.a"
		sent, err = topic.BatchPublish("1", "2")
		refused(sent, err, 6030, "10730")
		must(strings.Join(drain(queue), ",") == "a.b.c 1,a.b.c 2", "matched", "other messages")
	})
	check(mode+": the routes of the TCP protocol are refused", func() {
		for _, query := range []func(string) (tcmq.Route, error){client.QueryQueueRoute, client.QueryTopicRoute} {
			reply, err := query(name)
			must(err == nil && reply.Code() != 0 && strings.Contains(reply.Message(), "10430"), "code", reply)
		}
	})
	check(mode+": a topic that is not there", func() {
		topic := &tcmq.Topic{Client: client, Name: name + "-missing"}
		sent, err := topic.Publish("x")
		refused(sent, err, 4440, "10600")
	})
}

func main() {
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		for _, hash := range []string{tcmq.HmacSHA1, tcmq.HmacSHA256} {
			client, err := tcmq.NewClient(os.Getenv("CMQ_URL"), os.Getenv("CMQ_SECRET_ID"), os.Getenv("CMQ_SECRET_KEY"), 30*time.Second)
			if err != nil {
				panic(err)
			}
			client.Method, client.SignMethod = method, hash
			queue := &tcmq.Queue{Client: client, Name: name, PollingWaitSeconds: 3}
			mode := method + " " + hash
			queueChecks(mode, queue)
			topicChecks(mode, client, queue)
		}
	}
	check("a wrong key", func() {
		client, _ := tcmq.NewClient(os.Getenv("CMQ_URL"), os.Getenv("CMQ_SECRET_ID"), "wrong", 30*time.Second)
		reply, err := client.SendMessage(name, "x", 0)
		must(err == nil && reply.Code() == 4100, "code", reply)
	})
	if failures > 0 {
		os.Exit(1)
	}
}
