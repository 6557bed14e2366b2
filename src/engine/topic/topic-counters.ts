/** What was published to one topic over CMQ since the start of the process (QCE/CMQTOPIC). */
export class TopicCounters {
  /** Messages of PublishMessage that were accepted. */
  publishedMessages = 0;
  /** Messages of BatchPublishMessage that were accepted. */
  batchPublishedMessages = 0;
  /** Calls of PublishMessage that were accepted. */
  publishRequests = 0;
  /** Calls of BatchPublishMessage that were accepted. */
  batchPublishRequests = 0;
  /** Body bytes. */
  publishedBytes = 0;
  /** Body bytes. */
  batchPublishedBytes = 0;
}

/** What became of one subscription's messages since the start of the process. */
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
