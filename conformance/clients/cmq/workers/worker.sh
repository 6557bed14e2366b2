# One task of amqp-consume: a number comes in on standard input, its square goes out. Taken when this ends well.
number=$(cat)
[[ -n $number ]] || exit 1 # amqp-consume was killed before it wrote
exec amqp-publish -u "$AMQP_URL" -r "$RESULTS" -p -b "$number $((number * number)) c"
