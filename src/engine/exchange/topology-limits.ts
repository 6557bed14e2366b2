/** Hard limits of the topology, each with its unit and its reason. */

/** '#' words in one topic binding key. RabbitMQ 4.3 allows as many; more has no use. */
export const TOPIC_MULTI_WILDCARDS_MAX = 2;

/** Routing keys whose result a topic exchange remembers. At about 200 bytes each: 1.6 MB. */
export const TOPIC_CACHE_KEYS_MAX = 8192;

/** Characters of the longest of them: one that came over MQTT may have 64 Ki. */
export const TOPIC_CACHE_KEY_LENGTH_MAX = 256;

/** Destinations in all remembered results together, so that broad fan-outs stay bounded: 512 kB. */
export const TOPIC_CACHE_DESTINATIONS_MAX = 65_536;

/** Keys a topic exchange answers without remembering once remembering has proved useless. */
export const TOPIC_CACHE_PAUSE_KEYS = 65_536;

/** Weight of one binding of a consistent-hash exchange, as in RabbitMQ. */
export const HASH_WEIGHT_MAX = 10_000;

/** Tags one binding of a tags exchange may name: CMQ's own limit is 5; more is for AMQP users. */
export const BINDING_TAGS_MAX = 64;

/** Tags of one message that a tags exchange looks at: bounds what one publish costs. */
export const MESSAGE_TAGS_MAX = 64;
