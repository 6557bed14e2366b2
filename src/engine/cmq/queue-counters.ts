/**
 * What was asked of one queue and what came of it, since the start of the process: CMQ's monitoring
 * figures (QCE/CMQ). Requests count each call, numbers count messages.
 */
export class QueueCounters {
  sendRequests = 0;
  sentMessages = 0;
  receiveRequests = 0;
  receivedMessages = 0;
  /** ReceiveMessage that found nothing. */
  emptyReceives = 0;
  /** BatchReceiveMessage that found nothing. */
  emptyBatchReceives = 0;
  deleteRequests = 0;
  deletedMessages = 0;
}
