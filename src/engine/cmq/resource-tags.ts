/** Labels of queues and topics by which owners sort and find them; not the tags of messages. */

export interface ResourceTag {
  readonly key: string;
  readonly value: string;
}

/** Labels of one queue or topic, and their UTF-8 bytes: what the vendor's tag service allows. */
const TAGS_MAX = 50;
const KEY_BYTES_MAX = 127;
const VALUE_BYTES_MAX = 255;

/** What is wrong with a set of labels; undefined: nothing. */
export function resourceTagsProblem(tags: readonly ResourceTag[]): string | undefined {
  if (tags.length > TAGS_MAX) return `tags are more than ${TAGS_MAX}`;
  const keys = new Set<string>();
  for (const { key, value } of tags) {
    if (key === '') return 'the key of a tag is empty';
    if (Buffer.byteLength(key) > KEY_BYTES_MAX) {
      return `the key of a tag is longer than ${KEY_BYTES_MAX} bytes`;
    }
    if (Buffer.byteLength(value) > VALUE_BYTES_MAX) {
      return `the value of tag '${key}' is longer than ${VALUE_BYTES_MAX} bytes`;
    }
    if (keys.has(key)) return `tag '${key}' is there twice`;
    keys.add(key);
  }
  return undefined;
}
