/**
 * Every method of AMQP 0-9-1 with RabbitMQ's extensions, as data.
 *
 * The codec (`codec.generated.ts`), its round-trip tests and the coverage table are made from this
 * table; no class or method id is typed anywhere else. Fields named `reservedN` travel on the wire
 * but reach nobody: they are skipped when read and written as zero or empty.
 */

export type FieldType =
  | 'bit' // packed with its neighbours, lowest bit first (4.2.5.2)
  | 'octet'
  | 'short'
  | 'long'
  | 'longlong' // a number; above 2^53 it is not exact
  | 'shortstr'
  | 'longstr'
  | 'table';

export interface FieldSpec {
  /** camelCase name. */
  readonly name: string;
  readonly type: FieldType;
}

/** Who may send it. */
export type Direction = 'client' | 'server' | 'both';

export interface MethodSpec {
  readonly className: string;
  readonly classId: number;
  /** camelCase name, without the class. */
  readonly name: string;
  readonly methodId: number;
  readonly from: Direction;
  /** The sender waits for a reply. */
  readonly isSync: boolean;
  /** A content header and body follow. */
  readonly hasContent: boolean;
  readonly fields: readonly FieldSpec[];
  /** Section of the specification, or where the extension is described. */
  readonly section: string;
}

type Row = readonly [
  name: string,
  methodId: number,
  from: Direction,
  kind: '' | 'sync' | 'content' | 'sync+content',
  fields: string,
  section: string,
];

interface ClassSpec {
  readonly name: string;
  readonly id: number;
  readonly rows: readonly Row[];
}

const RABBIT = 'RabbitMQ extension';

// biome-ignore format: a table reads as one, a method a row
const CLASSES: readonly ClassSpec[] = [
  {
    name: 'connection',
    id: 10,
    rows: [
      ['start', 10, 'server', 'sync',
        'versionMajor:octet versionMinor:octet serverProperties:table ' +
        'mechanisms:longstr locales:longstr', '1.4.2.1'],
      ['startOk', 11, 'client', '',
        'clientProperties:table mechanism:shortstr response:longstr locale:shortstr', '1.4.2.2'],
      ['secure', 20, 'server', 'sync', 'challenge:longstr', '1.4.2.3'],
      ['secureOk', 21, 'client', '', 'response:longstr', '1.4.2.4'],
      ['tune', 30, 'server', 'sync',
        'channelMax:short frameMax:long heartbeat:short', '1.4.2.5'],
      ['tuneOk', 31, 'client', '', 'channelMax:short frameMax:long heartbeat:short', '1.4.2.6'],
      ['open', 40, 'client', 'sync',
        'virtualHost:shortstr reserved1:shortstr reserved2:bit', '1.4.2.7'],
      ['openOk', 41, 'server', '', 'reserved1:shortstr', '1.4.2.8'],
      ['close', 50, 'both', 'sync',
        'replyCode:short replyText:shortstr failedClassId:short failedMethodId:short', '1.4.2.9'],
      ['closeOk', 51, 'both', '', '', '1.4.2.10'],
      ['blocked', 60, 'server', '', 'reason:shortstr', RABBIT],
      ['unblocked', 61, 'server', '', '', RABBIT],
      ['updateSecret', 70, 'client', 'sync', 'newSecret:longstr reason:shortstr', RABBIT],
      ['updateSecretOk', 71, 'server', '', '', RABBIT],
    ],
  },
  {
    name: 'channel',
    id: 20,
    rows: [
      ['open', 10, 'client', 'sync', 'reserved1:shortstr', '1.5.2.1'],
      ['openOk', 11, 'server', '', 'reserved1:longstr', '1.5.2.2'],
      ['flow', 20, 'both', 'sync', 'active:bit', '1.5.2.3'],
      ['flowOk', 21, 'both', '', 'active:bit', '1.5.2.4'],
      ['close', 40, 'both', 'sync',
        'replyCode:short replyText:shortstr failedClassId:short failedMethodId:short', '1.5.2.5'],
      ['closeOk', 41, 'both', '', '', '1.5.2.6'],
    ],
  },
  {
    name: 'access',
    id: 30,
    rows: [
      ['request', 10, 'client', 'sync',
        'realm:shortstr exclusive:bit passive:bit active:bit write:bit read:bit',
        'AMQP 0-8 1.6.2.1'],
      ['requestOk', 11, 'server', '', 'ticket:short', 'AMQP 0-8 1.6.2.2'],
    ],
  },
  {
    name: 'exchange',
    id: 40,
    rows: [
      ['declare', 10, 'client', 'sync',
        'reserved1:short exchange:shortstr type:shortstr passive:bit durable:bit ' +
        'autoDelete:bit internal:bit noWait:bit arguments:table', '1.6.2.1'],
      ['declareOk', 11, 'server', '', '', '1.6.2.2'],
      ['delete', 20, 'client', 'sync',
        'reserved1:short exchange:shortstr ifUnused:bit noWait:bit', '1.6.2.3'],
      ['deleteOk', 21, 'server', '', '', '1.6.2.4'],
      ['bind', 30, 'client', 'sync',
        'reserved1:short destination:shortstr source:shortstr routingKey:shortstr noWait:bit ' +
        'arguments:table', RABBIT],
      ['bindOk', 31, 'server', '', '', RABBIT],
      ['unbind', 40, 'client', 'sync',
        'reserved1:short destination:shortstr source:shortstr routingKey:shortstr noWait:bit ' +
        'arguments:table', RABBIT],
      // 51, not 41: an accident of RabbitMQ's table that every client has copied.
      ['unbindOk', 51, 'server', '', '', RABBIT],
    ],
  },
  {
    name: 'queue',
    id: 50,
    rows: [
      ['declare', 10, 'client', 'sync',
        'reserved1:short queue:shortstr passive:bit durable:bit exclusive:bit autoDelete:bit ' +
        'noWait:bit arguments:table', '1.7.2.1'],
      ['declareOk', 11, 'server', '',
        'queue:shortstr messageCount:long consumerCount:long', '1.7.2.2'],
      ['bind', 20, 'client', 'sync',
        'reserved1:short queue:shortstr exchange:shortstr routingKey:shortstr noWait:bit ' +
        'arguments:table', '1.7.2.3'],
      ['bindOk', 21, 'server', '', '', '1.7.2.4'],
      ['purge', 30, 'client', 'sync', 'reserved1:short queue:shortstr noWait:bit', '1.7.2.7'],
      ['purgeOk', 31, 'server', '', 'messageCount:long', '1.7.2.8'],
      ['delete', 40, 'client', 'sync',
        'reserved1:short queue:shortstr ifUnused:bit ifEmpty:bit noWait:bit', '1.7.2.9'],
      ['deleteOk', 41, 'server', '', 'messageCount:long', '1.7.2.10'],
      ['unbind', 50, 'client', 'sync',
        'reserved1:short queue:shortstr exchange:shortstr routingKey:shortstr arguments:table',
        '1.7.2.5'],
      ['unbindOk', 51, 'server', '', '', '1.7.2.6'],
    ],
  },
  {
    name: 'basic',
    id: 60,
    rows: [
      ['qos', 10, 'client', 'sync',
        'prefetchSize:long prefetchCount:short global:bit', '1.8.3.1'],
      ['qosOk', 11, 'server', '', '', '1.8.3.2'],
      ['consume', 20, 'client', 'sync',
        'reserved1:short queue:shortstr consumerTag:shortstr noLocal:bit noAck:bit ' +
        'exclusive:bit noWait:bit arguments:table', '1.8.3.3'],
      ['consumeOk', 21, 'server', '', 'consumerTag:shortstr', '1.8.3.4'],
      // Both ways: the server cancels a consumer when its queue goes away (RabbitMQ extension).
      ['cancel', 30, 'both', 'sync', 'consumerTag:shortstr noWait:bit', '1.8.3.5'],
      ['cancelOk', 31, 'both', '', 'consumerTag:shortstr', '1.8.3.6'],
      ['publish', 40, 'client', 'content',
        'reserved1:short exchange:shortstr routingKey:shortstr mandatory:bit immediate:bit',
        '1.8.3.7'],
      ['return', 50, 'server', 'content',
        'replyCode:short replyText:shortstr exchange:shortstr routingKey:shortstr', '1.8.3.8'],
      ['deliver', 60, 'server', 'content',
        'consumerTag:shortstr deliveryTag:longlong redelivered:bit exchange:shortstr ' +
        'routingKey:shortstr', '1.8.3.9'],
      ['get', 70, 'client', 'sync', 'reserved1:short queue:shortstr noAck:bit', '1.8.3.10'],
      ['getOk', 71, 'server', 'content',
        'deliveryTag:longlong redelivered:bit exchange:shortstr routingKey:shortstr ' +
        'messageCount:long', '1.8.3.11'],
      ['getEmpty', 72, 'server', '', 'reserved1:shortstr', '1.8.3.12'],
      ['ack', 80, 'both', '', 'deliveryTag:longlong multiple:bit', '1.8.3.13'],
      ['reject', 90, 'client', '', 'deliveryTag:longlong requeue:bit', '1.8.3.14'],
      ['recoverAsync', 100, 'client', '', 'requeue:bit', '1.8.3.15'],
      ['recover', 110, 'client', 'sync', 'requeue:bit', '1.8.3.16'],
      ['recoverOk', 111, 'server', '', '', '1.8.3.17'],
      ['nack', 120, 'both', '', 'deliveryTag:longlong multiple:bit requeue:bit', RABBIT],
    ],
  },
  {
    name: 'confirm',
    id: 85,
    rows: [
      ['select', 10, 'client', 'sync', 'noWait:bit', RABBIT],
      ['selectOk', 11, 'server', '', '', RABBIT],
    ],
  },
  {
    name: 'tx',
    id: 90,
    rows: [
      ['select', 10, 'client', 'sync', '', '1.9.2.1'],
      ['selectOk', 11, 'server', '', '', '1.9.2.2'],
      ['commit', 20, 'client', 'sync', '', '1.9.2.3'],
      ['commitOk', 21, 'server', '', '', '1.9.2.4'],
      ['rollback', 30, 'client', 'sync', '', '1.9.2.5'],
      ['rollbackOk', 31, 'server', '', '', '1.9.2.6'],
    ],
  },
];

/** The whole table, in order of class and method id. */
export const METHODS: readonly MethodSpec[] = CLASSES.flatMap((cls) =>
  cls.rows.map(([name, methodId, from, kind, fields, section]) => ({
    className: cls.name,
    classId: cls.id,
    name,
    methodId,
    from,
    isSync: kind.startsWith('sync'),
    hasContent: kind.endsWith('content'),
    fields: parseFields(fields),
    section,
  })),
);

/** True when the field reaches neither sink nor writer. */
export function isReserved(field: FieldSpec): boolean {
  return field.name.startsWith('reserved');
}

/** Splits `name:type name:type`. */
function parseFields(text: string): FieldSpec[] {
  if (text === '') return [];
  return text.split(' ').map((pair) => {
    const [name, type] = pair.split(':') as [string, FieldType];
    return { name, type };
  });
}
