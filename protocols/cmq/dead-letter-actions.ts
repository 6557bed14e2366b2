/** Actions on dead-letter bindings beyond those of the queue's attributes (reference 2.2). */
import type { CmqCall, CmqDeps, CmqHandler } from './dispatcher.ts';
import { pageOf, queueEntry } from './queue-description.ts';
import { queueFailuresOf } from './queue-failures.ts';

export function deadLetterHandlers(deps: CmqDeps): [string, CmqHandler][] {
  return queueFailuresOf({
    UnbindDeadLetter: (call) => unbind(call, deps),
    DescribeDeadLetterSourceQueues: describeSources,
  });
}

function unbind(call: CmqCall, { broker }: CmqDeps): void {
  const name = call.parameters.text('sourceQueueName');
  const ticket = call.vhost.cmq.queues.unbindDeadLetter(call.actor, name);
  broker.hold(ticket, () => call.reply({}));
}

function describeSources(call: CmqCall): void {
  const { queues } = call.vhost.cmq;
  const { parameters } = call;
  const queue = queues.find(call.actor, parameters.text('deadLetterQueueName'), 'any');
  const word = parameters.optionalText('sourceQueueName')?.toLowerCase() ?? '';
  const found = queues
    .sourcesOf(queue)
    .filter(({ name }) => name.toLowerCase().includes(word))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  call.reply({
    totalCount: found.length,
    queueList: pageOf(parameters, found).map(queueEntry),
  });
}
