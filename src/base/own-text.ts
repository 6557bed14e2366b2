/** Characters up to which V8 copies a part of a text; of a longer part it keeps the whole text. */
const COPIED_LENGTH_MAX = 12;

/** The same text, well-formed, with memory of its own: for a part that outlives what it is of. */
export function ownText(text: string): string {
  return text.length <= COPIED_LENGTH_MAX ? text : Buffer.from(text).toString();
}
