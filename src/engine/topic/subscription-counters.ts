/** What became of one subscription's messages since the start of the process (QCE/CMQTOPIC). */
export class SubscriptionCounters {
  /** Messages that matched. */
  matchedMessages = 0;
  /** Attempts to deliver, failed ones among them. */
  attempts = 0;
  /** Messages that arrived. */
  deliveredMessages = 0;
  /** Messages given up, those that went to a dead-letter queue among them. */
  abandonedMessages = 0;
  deadLetteredMessages = 0;
}
