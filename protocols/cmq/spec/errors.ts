/**
 * Every error of CMQ as data: code and module of API 2.0, the code of API 3.0, and the vendor's
 * text, where `%s` stands for the parameter or name at fault.
 *
 * A reply of API 2.0 says `{"code": code, "message": "(module)text", "requestId": ...}`. Some
 * modules occur under several codes and meanings; the name tells them apart.
 */

interface ErrorRow {
  readonly code: number;
  readonly module: number;
  /** Code of API 3.0. */
  readonly v3: string;
  readonly text: string;
}

export const CMQ_ERRORS = {
  // 4000: the request
  REQUEST_INVALID: row(4000, 10000, 'InvalidParameter', 'invalid request parameters'),
  PARAMETERS_LACKING: row(4000, 10010, 'MissingParameter', 'lacked of required parameters'),
  PARAMETERS_WRONG: row(4000, 10110, 'InvalidParameter', 'request parameters error'),
  PARAMETER_FORMAT: row(4000, 10310, 'InvalidParameter', 'parameter %s key format error'),
  PARAMETER_UNKNOWN: row(4000, 10320, 'UnknownParameter', 'no such parameter %s'),
  PARAMETER_REPEATED: row(
    4000,
    10330,
    'InvalidParameter',
    'parameter %s is NOT a repeatable parameter',
  ),
  PARAMETER_RANGE: row(
    4000,
    10350,
    'InvalidParameterValue',
    'parameter %s value or length is out of range',
  ),
  PARAMETER_TYPE: row(4000, 10360, 'InvalidParameter', 'parameter %s error type'),
  BATCH_SIZE: row(4000, 10370, 'InvalidParameterValue', '%s parameter batch size is out of range'),
  BATCH_INDEX: row(4000, 10380, 'InvalidParameter', '%s parameter is not consequent'),
  PARAMETER_MISSING: row(4000, 10390, 'MissingParameter', 'lacked of required parameter %s'),
  PARAMETER_NOT_IN_URI: row(4000, 10400, 'MissingParameter', 'cannot find parameter %s in uri'),
  ACTION_MISSING: row(4000, 10280, 'InvalidAction', 'action is not existed'),
  ACTION_UNKNOWN: row(4000, 10430, 'InvalidAction', 'action name %s is not existed'),
  VERSION_UNKNOWN: row(4000, 10430, 'NoSuchVersion', 'api version %s is not existed'),
  HTTP_METHOD: row(
    4000,
    10410,
    'UnsupportedProtocol',
    'unexpected http %s only GET or POST is supported',
  ),
  REQUEST_UNPARSABLE: row(
    4000,
    10420,
    'InvalidParameter',
    'cannot parse %s, or request size is more than 1MB',
  ),
  REQUEST_TOO_LARGE: row(
    4000,
    10420,
    'RequestSizeLimitExceeded',
    'cannot parse request, or request size is more than 1MB',
  ),
  ACCOUNT_ILLEGAL: row(
    4000,
    10440,
    'UnauthorizedOperation',
    'account illegal, it may be an assistant account',
  ),
  PERMISSION_DENIED: row(4000, 10461, 'UnauthorizedOperation', 'no cam authentication'),
  SECRET_ID_PREFIX: row(
    4000,
    10450,
    'AuthFailure.InvalidSecretId',
    'secret id does not begin with AKID',
  ),
  // 4000: queues
  QUEUE_NAME: row(4000, 10020, 'InvalidParameterValue', 'queue name format error'),
  BODY_EMPTY: row(4000, 10120, 'InvalidParameterValue', "message body can't be empty"),
  HANDLE_FORMAT: row(4000, 10470, 'InvalidParameterValue', 'receiptHandle error'),
  DELAY_RANGE: row(4000, 10692, 'InvalidParameterValue', 'delay seconds is out of range'),
  REWIND_TIME: row(4000, 10680, 'InvalidParameterValue', 'startConsumeTime is out of range'),
  REWIND_RETENTION: row(
    4000,
    10700,
    'InvalidParameterValue',
    'rewindSeconds is larger than msgRetentionSeconds',
  ),
  QUEUE_IN_USE: row(
    4000,
    10110,
    'ResourceInUse',
    'the queue is the dead letter queue of another queue',
  ),
  // 4000: topics and subscriptions
  TOPIC_NAME: row(4000, 10590, 'InvalidParameterValue', 'topic name format error'),
  SUBSCRIPTION_NAME: row(4000, 10590, 'InvalidParameterValue', 'subscription name format error'),
  FILTER_TAGS_COUNT: row(4000, 10490, 'InvalidParameterValue', 'number of filterTag exceed limit'),
  ENDPOINT_FORMAT: row(4000, 10500, 'InvalidParameterValue', 'endpoint format error'),
  ENDPOINT_ILLEGAL: row(4000, 10630, 'InvalidParameterValue', 'illegal endpoint'),
  QUEUE_CONTENT_FORMAT: row(
    4000,
    10640,
    'InvalidParameterValue',
    'notifyContentFormat of protocol queue must be SIMPLIFIED',
  ),
  PROTOCOL: row(4000, 10510, 'InvalidParameterValue', 'undefined protocol'),
  NOTIFY_STRATEGY: row(4000, 10520, 'InvalidParameterValue', 'undefined notify retry strategy'),
  NOTIFY_CONTENT_FORMAT: row(
    4000,
    10530,
    'InvalidParameterValue',
    'undefined notify content format',
  ),
  TOPIC_HAS_SUBSCRIPTIONS: row(
    4000,
    10540,
    'ResourceInUse',
    'there exists subscriptions under this topic, please unsubscribe all of them before DeleteTopic',
  ),
  FILTER_TAGS_TOO_MANY: row(4000, 10670, 'InvalidParameterValue', 'too many filterTag'),
  BINDING_KEYS_TOO_MANY: row(4000, 10680, 'InvalidParameterValue', 'too many bindingKey'),
  ROUTING_KEY_DELIMITERS: row(4000, 10690, 'InvalidParameterValue', 'too many delimiters'),
  BINDING_KEY_DELIMITERS: row(4000, 10691, 'InvalidParameterValue', 'too many delimiters'),
  ROUTING_KEY_MISSING: row(4000, 10700, 'MissingParameter', 'parameters lack of routingKey'),
  BINDING_KEY_MISSING: row(4000, 10710, 'MissingParameter', 'parameters lack of bindingKey'),
  MESSAGE_TAGS_TOO_MANY: row(4000, 10720, 'InvalidParameterValue', 'too many msgTag'),
  // 4100: who asks
  SIGNATURE_WRONG: row(4100, 10030, 'AuthFailure.SignatureFailure', 'authentication failed'),
  SIGNATURE_EXPIRED: row(
    4100,
    10030,
    'AuthFailure.SignatureExpire',
    'authentication failed, Timestamp is too far from the time of the server',
  ),
  TCP_NOT_AUTHENTICATED: row(4100, 10031, 'AuthFailure', 'connection is not authenticated'),
  TCP_AUTHENTICATED: row(4100, 10032, 'AuthFailure', 'connection is already authenticated'),
  KEY_DISABLED: row(4100, 10080, 'AuthFailure.InvalidSecretId', 'secret id status error'),
  SECRET_ID_UNKNOWN: row(4100, 10270, 'AuthFailure.SecretIdNotFound', 'secret id is not existed'),
  ACCOUNT_OVERDUE: row(4300, 10040, 'FailedOperation', 'charge overdue'),
  // 44xx, 45xx: limits and what is not there
  MESSAGE_TOO_LARGE: row(4400, 10230, 'LimitExceeded', 'exceed maximum message size'),
  QUEUE_FULL: row(4410, 10240, 'LimitExceeded', 'reach maximum retention number of message'),
  QUEUE_RATE: row(4420, 10250, 'RequestLimitExceeded', 'qps throttling'),
  HANDLE_INVALID: row(4430, 10260, 'InvalidParameterValue', 'receipt handle is invalid'),
  QUEUE_NOT_FOUND: row(4440, 10100, 'ResourceNotFound', 'queue is not existed, or deleted'),
  TOPIC_NOT_FOUND: row(4440, 10600, 'ResourceNotFound', 'topic is not existed, or deleted'),
  SUBSCRIPTION_NOT_FOUND: row(4440, 10600, 'ResourceNotFound', 'subscription is not existed'),
  MESSAGE_NOT_FOUND: row(4440, 10100, 'ResourceNotFound', 'message is not existed, or deleted'),
  REDRIVE_NOT_FOUND: row(4440, 10100, 'ResourceNotFound', 'redrive task is not existed'),
  QUEUE_QUOTA: row(4450, 10220, 'LimitExceeded', 'number of queues has reached the limit'),
  TOPIC_QUOTA: row(4450, 10610, 'LimitExceeded', 'number of topics has reached the limit'),
  QUEUE_EXISTS: row(4460, 10210, 'ResourceInUse', 'queue is already existed, case insensitive'),
  TOPIC_EXISTS: row(4460, 10620, 'ResourceInUse', 'topic is already existed'),
  BATCH_TOO_LARGE: row(4470, 10300, 'LimitExceeded', 'total message size exceed 1MB'),
  REQUEST_RATE: row(
    4480,
    10460,
    'RequestLimitExceeded',
    'exceed interface frequency limit, please slow down',
  ),
  SUBSCRIPTION_EXISTS: row(4490, 10470, 'ResourceInUse', 'subscription is already existed'),
  TRANSACTION_MESSAGE_ID: row(4490, 10770, 'InvalidParameterValue', 'message id is invalid'),
  TRANSACTION_STATE: row(4490, 10780, 'FailedOperation', 'message operation is not allowed'),
  TRANSACTION_UNSUPPORTED: row(
    4490,
    10790,
    'UnsupportedOperation',
    'transaction message is not supported',
  ),
  SUBSCRIPTION_QUOTA: row(
    4500,
    10480,
    'LimitExceeded',
    'number of subscription has reached the limit',
  ),
  ENDPOINT_BLANKS: row(
    4510,
    10570,
    'InvalidParameterValue',
    'url cannot contain any blank characters',
  ),
  // 60xx: the operation
  INTERNAL: row(6000, 10050, 'InternalError', 'server internal error'),
  SEND_FAILED: row(6000, 10090, 'InternalError', 'send message failed'),
  RECEIVE_FAILED: row(6000, 10130, 'InternalError', 'receive message failed'),
  DELETE_FAILED: row(6000, 10140, 'InternalError', 'delete message failed'),
  GET_ATTRIBUTES_FAILED: row(6000, 10160, 'InternalError', 'get queue attributes failed'),
  SET_ATTRIBUTES_FAILED: row(6000, 10170, 'InternalError', 'set queue attributes failed'),
  DELETE_QUEUE_FAILED: row(6000, 10180, 'InternalError', 'delete queue failed'),
  LIST_QUEUE_FAILED: row(6000, 10190, 'InternalError', 'list queue failed'),
  BATCH_DELETE_PARTIAL: row(6010, 10150, 'FailedOperation', 'delete message partially failed'),
  BATCH_DELETE_FAILED: row(6020, 10290, 'FailedOperation', 'batch delete message failed'),
  NO_SUBSCRIPTION: row(
    6030,
    10650,
    'FailedOperation',
    'topic has no subscription, please create a subscription before publishing message',
  ),
  NO_MATCH: row(
    6030,
    10730,
    'FailedOperation',
    'no bindingKey or filterTag matches the routingKey or msgTag',
  ),
  NAME_COOLING_DOWN: row(
    6040,
    10660,
    'FailedOperation.TryLater',
    'it will take some time to release resources of the previous one of the same name, try later',
  ),
  TRANSACTION_CONFIRM_FAILED: row(
    6040,
    10750,
    'FailedOperation',
    'transaction confirmation failed',
  ),
  TRANSACTION_CONFIRM_PARTIAL: row(
    6040,
    10760,
    'FailedOperation',
    'transaction confirmation partially failed',
  ),
  NOT_REWINDABLE: row(6050, 10670, 'FailedOperation', 'your queue cannot be rewound'),
  FILTERS_TOO_MANY: row(6050, 10740, 'LimitExceeded', 'too many filterTag or bindingKey'),
  UNACKED_TOO_MANY: row(
    6070,
    10690,
    'LimitExceeded',
    'too many unacked(inactive) messages or delayed messages',
  ),
  NO_MESSAGE: row(7000, 10200, 'ResourceUnavailable', 'no message'),
} as const satisfies Readonly<Record<string, ErrorRow>>;

/** Name of an error. */
export type CmqErrorName = keyof typeof CMQ_ERRORS;

function row(code: number, module: number, v3: string, text: string): ErrorRow {
  return { code, module, v3, text };
}

/** The vendor's text of an error about `subject`. */
export function errorText(name: CmqErrorName, subject = ''): string {
  return CMQ_ERRORS[name].text.replace('%s', () => subject);
}
