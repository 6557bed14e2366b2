# One task of amqp-consume: a number comes in on standard input, its square goes out. Taken when this ends well.
number=$(cat)
exec amqp-publish -u "$AMQP_URL" -r "$RESULTS" -p -b "$number $((number * number)) c"
