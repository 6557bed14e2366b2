/**
 * How outcomes are written: as API 2.0 or 3.0. Always HTTP 200; stock clients turn any other status
 * into a failure of the transport and lose the code.
 */
import type { CmqFailure } from './error-mapper.ts';
import { capitalized } from './request-binder.ts';
import type { ActionV3 } from './spec/actions.ts';
import { JsonMembers, type ReplyFields } from './reply-json.ts';
import { CMQ_ERRORS } from './spec/errors.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Writes the replies to one request as JSON. */
export interface ReplyFormat {
  /**
   * `fields` by their 2.0 names, times in seconds; none is one that every reply has.
   * @param requestId digits
   * @returns a text, or the bytes of one, owned
   */
  succeeded(requestId: string, fields: ReplyFields): string | Buffer;
  failed(requestId: string, failure: CmqFailure): string;
}

/** `{"code": 0, "message": "", "requestId": "...", ...}`. */
export class ReplyFormatV2 implements ReplyFormat {
  readonly #clientRequestId: string | undefined;

  /** @param clientRequestId digits; comes back as a number, which the Go SDK decodes as uint64 */
  constructor(clientRequestId: string | undefined) {
    const isNumber = clientRequestId !== undefined && /^(?:0|[1-9]\d{0,19})$/.test(clientRequestId);
    this.#clientRequestId = isNumber ? clientRequestId : undefined;
  }

  succeeded(requestId: string, fields: Fields): string;
  succeeded(requestId: string, fields: ReplyFields): string | Buffer;
  succeeded(requestId: string, fields: ReplyFields): string | Buffer {
    const head = `{"code":0,"message":"","requestId":"${requestId}"`;
    if (fields instanceof JsonMembers) return this.#enclose(head, fields.json);
    const { rewindMsgNum } = fields;
    // The legacy spelling, which the Python and Node SDKs read.
    const own = rewindMsgNum === undefined ? fields : { ...fields, rewindmsgNum: rewindMsgNum };
    const text = JSON.stringify(own);
    return this.#close(text === '{}' ? head : `${head},${text.slice(1, -1)}`);
  }

  failed(requestId: string, { error, message, fields }: CmqFailure): string {
    const { code, module } = CMQ_ERRORS[error];
    const reply = { code, message: `(${module})${message}`, requestId, ...fields };
    return this.#close(JSON.stringify(reply).slice(0, -1));
  }

  /** `members` behind the first ones of an object. */
  #enclose(head: string, members: string | Buffer): string | Buffer {
    if (typeof members === 'string') return this.#close(`${head},${members}`);
    const start = head.length + 1;
    const end = start + members.length;
    const tail = this.#close('');
    const bytes = Buffer.allocUnsafe(end + tail.length);
    bytes.write(`${head},`, 0, 'latin1');
    members.copy(bytes, start);
    bytes.write(tail, end, 'latin1');
    return bytes;
  }

  /** Ends the text of an object that is open yet. */
  #close(text: string): string {
    if (this.#clientRequestId === undefined) return `${text}}`;
    // Digits as they came: a uint64 does not fit a JavaScript number.
    return `${text},"clientRequestId":${this.#clientRequestId}}`;
  }
}

/** Seconds in API 2.0 and the older module of 3.0, ms in the newer one. */
const TIMES_IN_MS: ReadonlySet<string> = new Set(['createTime', 'lastModifyTime']);

/** `{"Response": {..., "RequestId": "..."}}`. */
export class ReplyFormatV3 implements ReplyFormat {
  readonly #v3: ActionV3 | undefined;

  /** @param v3 undefined while the action is not known: then only failures are written */
  constructor(v3: ActionV3 | undefined) {
    this.#v3 = v3;
  }

  succeeded(requestId: string, fields: ReplyFields): string {
    const own = this.#object(fields instanceof JsonMembers ? fields.toObject() : fields);
    const wrap = this.#v3?.wrap;
    const shaped = wrap === undefined ? own : { [wrap]: own };
    return JSON.stringify({
      Response: { ...shaped, ...this.#v3?.constant, RequestId: requestId },
    });
  }

  failed(requestId: string, { error, message }: CmqFailure): string {
    const { v3 } = CMQ_ERRORS[error];
    return JSON.stringify({
      Response: { Error: { Code: v3, Message: message }, RequestId: requestId },
    });
  }

  #object(fields: Fields): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(fields)) {
      if (name === 'rewindmsgNum') continue;
      object[this.#v3?.rename?.[name] ?? capitalized(name)] = this.#value(name, value);
    }
    return object;
  }

  #value(name: string, value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item: unknown) => this.#value(name, item));
    if (typeof value === 'object' && value !== null) return this.#object(value as Fields);
    const isTime = typeof value === 'number' && TIMES_IN_MS.has(name);
    return isTime && this.#v3?.version === '2020-02-17' ? value * 1000 : value;
  }
}
