/**
 * MQTT topics and AMQP routing keys are the same words under another separator. Both directions
 * exchange characters:
 *
 *     MQTT   /  .  +  *          sensors/room.1/temp   sensors/+/temp   sensors/#
 *     AMQP   .  /  *  +          sensors.room/1.temp   sensors.*.temp   sensors.#
 *
 * So levels become words one to one, and with them the wildcards; a dot *within* a level becomes a
 * slash within a word instead of two words. Nothing is lost: the exchange is its own inverse on
 * every text, and byte length stays. For topics without dots it is what RabbitMQ does. Rejected:
 * RabbitMQ's one-way `.` to `.` with the original in a header (a level would become two words, and
 * an AMQP client that forwards the message would have to know the header), and escaping (`%2E`
 * changes what people write in bindings).
 *
 * Routing keys are longer than 255 bytes when topics are: they only meet AMQP's limit on its wire.
 */

const SLASH = 0x2f;
const DOT = 0x2e;
const PLUS = 0x2b;
const STAR = 0x2a;
const HASH = 0x23;

const AWKWARD_IN_TOPIC = /[.*+]/;
const AWKWARD_IN_KEY = /[/*+]/;

/**
 * The AMQP routing key (of a topic name) or binding key (of a topic filter).
 *
 * Not by `replaceAll`: its result is a tree of pieces, 2 MB of them for a topic of 64 KiB.
 */
export function topicToKey(topic: string): string {
  return AWKWARD_IN_TOPIC.test(topic) ? swap(topic) : topic.split('/').join('.');
}

/** The topic filter of an AMQP binding key. */
export function keyToFilter(key: string): string {
  return AWKWARD_IN_KEY.test(key) ? swap(key) : key.split('.').join('/');
}

/**
 * The topic name of an AMQP routing key, or undefined when it has none that could be published:
 * empty, with `*` or `#` in it, which would be wildcards, or with U+0000.
 */
export function keyToTopic(key: string): string | undefined {
  if (key.length === 0) return undefined;
  for (let i = 0; i < key.length; i += 1) {
    const code = key.charCodeAt(i);
    if (code === STAR || code === HASH || code === 0) return undefined;
  }
  return keyToFilter(key);
}

function swap(text: string): string {
  const pieces: string[] = [];
  let from = 0;
  for (let i = 0; i < text.length; i += 1) {
    const other = otherOf(text.charCodeAt(i));
    if (other === '') continue;
    pieces.push(text.slice(from, i), other);
    from = i + 1;
  }
  pieces.push(text.slice(from));
  return pieces.join('');
}

function otherOf(code: number): string {
  switch (code) {
    case SLASH:
      return '.';
    case DOT:
      return '/';
    case PLUS:
      return '*';
    case STAR:
      return '+';
    default:
      return '';
  }
}
