/** The version that dead letters carry of the ingest that set them aside; equal to package.json by a test. */
export const CONSUMER_VERSION = '0.1.0';
