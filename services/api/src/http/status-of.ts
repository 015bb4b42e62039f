/** What became of a request, for the log and the metrics. */
import type { Response } from 'express';

/** As nginx calls it: the client went before it had its answer. */
const CLIENT_CLOSED_REQUEST = 499;

/** The status that was answered, once the answer is over. */
export const statusOf = (res: Response): number =>
  res.writableFinished ? res.statusCode : CLIENT_CLOSED_REQUEST;
