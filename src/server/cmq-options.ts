/** Options of CMQ. */
import { option } from './option-row.ts';
import { duration, integer, optionalText, SWITCH } from './option-types.ts';

export const CMQ_OPTIONS = {
  cmq: option(
    'CMQ',
    SWITCH,
    'true',
    'Serve CMQ on the HTTP and HTTPS ports, at `/v2/index.php` and `/` (docs/CMQ.md). Nobody ' +
      'gets in without an access key.',
  ),
  'cmq-secret-id': option(
    'CMQ',
    optionalText('id'),
    '',
    'An access key that each start makes sure of, such as `AKIDexample`; `tributary key add` ' +
      'makes others.',
  ),
  'cmq-secret-key': option('CMQ', optionalText('text'), '', 'The secret of that key.', {
    isSecret: true,
  }),
  'cmq-secret-key-file': option(
    'CMQ',
    optionalText('file'),
    '',
    'File that holds that secret; a line end after it is ignored.',
  ),
  'cmq-key-user': option(
    'CMQ',
    optionalText('name'),
    '',
    'User whose rights that key has. Without it: `default-user`.',
  ),
  'cmq-key-vhost': option(
    'CMQ',
    optionalText('name'),
    '',
    'Virtual host that is the account of that key. Without it: `default-vhost`.',
  ),
  'cmq-timestamp-window': option(
    'CMQ',
    duration(0, 86_400_000),
    '300s',
    'How far the time in a request may be from the time of the server; 0: it is not looked at.',
  ),
  'cmq-anonymous-user': option(
    'CMQ',
    optionalText('name'),
    '',
    'User for requests without a key, in `default-vhost`: the private deployment mode of the Go ' +
      'SDK. Without one they are refused.',
  ),
  'cmq-requests-per-second': option(
    'CMQ',
    integer(0, 10_000_000),
    '0',
    'Requests of one account and action in a second; more are answered with code 4480. 0: any.',
  ),
  'cmq-queue-requests-per-second': option(
    'CMQ',
    integer(0, 10_000_000),
    '0',
    'Sends to one queue in a second, and a tenth more receives; beyond, calls get code 4420. ' +
      '0: any.',
  ),
  'cmq-delay-max': option(
    'CMQ',
    duration(0, 6_048_000_000),
    '6048000s',
    'Longest `delaySeconds`. The service had 3600 seconds.',
  ),
  'cmq-queues-max': option(
    'CMQ',
    integer(1, 1_000_000),
    '10000',
    'CMQ queues of one account (virtual host).',
  ),
  'cmq-delayed-max': option(
    'CMQ',
    integer(0, 1_000_000_000),
    '10000000',
    'Delayed messages of one queue; more are answered with code 6070. The service had 20000.',
  ),
  'cmq-inactive-max': option(
    'CMQ',
    integer(1, 1_000_000_000),
    '1000000',
    'Messages of one queue that are received and not deleted; beyond, receives get code 6070.',
  ),
  'cmq-topics-max': option('CMQ', integer(1, 1_000_000), '10000', 'CMQ topics of one account.'),
  'cmq-subscriptions-max': option(
    'CMQ',
    integer(1, 100_000),
    '1000',
    'Subscriptions of one topic.',
  ),
  'cmq-name-cool-down': option(
    'CMQ',
    duration(0, 3_600_000),
    '0s',
    'Time for which the name of a deleted queue cannot be taken again. The service had 30 seconds.',
  ),
  'cmq-fail-unmatched': option(
    'CMQ',
    SWITCH,
    'false',
    'Whether a message that no subscription matches fails with code 6030 instead of being dropped.',
  ),
} as const;
