/**
 * Every error that nestrec raises on purpose. docs/errors.md lists the same entries; a test holds the
 * two equal. Group by who can cure it: the caller, the operator, time.
 */
import { defineError } from './define-error.js';

// The caller's input.
export const InvalidJson = defineError('invalid_json', {
  status: 400,
  exitCode: 65,
  publicMessage: 'The body is not valid JSON.',
});
export const BodyRequired = defineError('body_required', {
  status: 400,
  exitCode: 65,
  publicMessage: 'A JSON body is required.',
});
export const BodyMustBeObject = defineError('body_must_be_object', {
  status: 400,
  exitCode: 65,
  publicMessage: 'The body must be a JSON object.',
});
export const BodyTooDeep = defineError('too_deep', {
  status: 400,
  exitCode: 65,
  publicMessage: 'The body is nested too deeply.',
});
export const BodyTooLarge = defineError('body_too_large', {
  status: 413,
  exitCode: 65,
  publicMessage: 'The body is too large.',
});
export const UnsupportedMediaType = defineError('unsupported_media_type', {
  status: 415,
  exitCode: 65,
  publicMessage: 'The media type is not supported.',
});
export const UnknownField = defineError('unknown_field', {
  status: 400,
  exitCode: 65,
  publicMessage: 'The request has a field that is not known.',
});
export const InvalidRequest = defineError('invalid_request', {
  status: 422,
  exitCode: 65,
  publicMessage: 'The request has invalid values.',
});
export const InvalidId = defineError('invalid_id', {
  status: 400,
  exitCode: 65,
  publicMessage: 'An id is not valid.',
});
export const InvalidParameter = defineError('invalid_parameter', {
  status: 400,
  exitCode: 65,
  publicMessage: 'A parameter is not valid.',
});
export const InvalidUrl = defineError('invalid_url', {
  status: 400,
  exitCode: 65,
  publicMessage: 'The address of the request is not valid.',
});
export const MalformedRequest = defineError('malformed_request', {
  status: 400,
  exitCode: 65,
  publicMessage: 'The request is not valid HTTP.',
});
export const HeadersTooLarge = defineError('headers_too_large', {
  status: 431,
  exitCode: 65,
  publicMessage: 'The headers of the request are too large.',
});
export const RequestTimeout = defineError('request_timeout', {
  status: 408,
  exitCode: 75,
  retryable: true,
  publicMessage: 'The request did not arrive in time.',
});
export const KeyInUrl = defineError('key_in_url', {
  status: 400,
  exitCode: 65,
  publicMessage: 'API keys must not stand in the URL.',
});
export const Unauthorized = defineError('unauthorized', {
  status: 401,
  exitCode: 77,
  publicMessage: 'A valid API key is required.',
});
export const DimensionNotAllowed = defineError('dimension_not_allowed', {
  status: 403,
  exitCode: 77,
  publicMessage: 'The tier does not allow this dimension.',
});
export const Forbidden = defineError('forbidden', {
  status: 403,
  exitCode: 77,
  publicMessage: 'The API key does not allow this.',
});
export const RouteNotFound = defineError('route_not_found', {
  status: 404,
  publicMessage: 'There is no such route.',
});
export const ItemNotFound = defineError('item_not_found', {
  status: 404,
  publicMessage: 'There is no such item.',
});
export const UserNotFound = defineError('user_not_found', {
  status: 404,
  publicMessage: 'There is no such user.',
});
export const KeyNotFound = defineError('key_not_found', {
  status: 404,
  publicMessage: 'There is no such API key.',
});
export const ClientNotFound = defineError('client_not_found', {
  status: 404,
  publicMessage: 'There is no client of this name with a key that works.',
});
export const TierNotFound = defineError('tier_not_found', {
  status: 404,
  publicMessage: 'There is no such tier.',
});
export const ErasureNotFound = defineError('erasure_not_found', {
  status: 404,
  publicMessage: 'There is no such erasure.',
});
export const TrainingRunNotFound = defineError('training_run_not_found', {
  status: 404,
  exitCode: 66,
  publicMessage: 'There is no such training run.',
});
export const MethodNotAllowed = defineError('method_not_allowed', {
  status: 405,
  publicMessage: 'The method is not allowed here.',
});
export const EventConflict = defineError('event_id_conflict', {
  status: 409,
  publicMessage: 'One event_id stands for two different events.',
});
export const TooManyKeys = defineError('too_many_keys', {
  status: 409,
  publicMessage: 'The client has as many keys as it may have.',
});
export const TierInUse = defineError('tier_in_use', {
  status: 409,
  publicMessage: 'The tier is in use.',
});
export const RateLimited = defineError('rate_limited', {
  status: 429,
  exitCode: 75,
  retryable: true,
  publicMessage: 'Too many requests.',
});

// Files, commands and settings: the operator's input.
export const UsageError = defineError('usage_error', {
  status: 400,
  exitCode: 2,
  publicMessage: 'The command was not understood.',
});
export const InvalidConfig = defineError('invalid_config', {
  status: 500,
  exitCode: 78,
  publicMessage: 'The configuration is not valid.',
});
export const InputNotFound = defineError('input_not_found', {
  status: 500,
  exitCode: 66,
  publicMessage: 'An input cannot be read.',
});
export const InvalidInput = defineError('invalid_input', {
  status: 500,
  exitCode: 65,
  publicMessage: 'An input file is not valid.',
});
export const TooManyBadRows = defineError('too_many_bad_rows', {
  status: 500,
  exitCode: 65,
  publicMessage: 'The input has too many bad rows.',
});
export const InsufficientData = defineError('insufficient_data', {
  status: 500,
  exitCode: 65,
  publicMessage: 'There are too few data for this.',
});
export const TrainingDiverged = defineError('training_diverged', {
  status: 500,
  exitCode: 1,
  publicMessage: 'Training produced numbers that are not finite.',
});
export const TrainingThreadFailed = defineError('training_thread_failed', {
  status: 500,
  exitCode: 70,
  publicMessage: 'A thread of the training failed.',
});
export const InsufficientMemory = defineError('insufficient_memory', {
  status: 500,
  exitCode: 78,
  publicMessage: 'The training does not fit the memory.',
});
export const InvalidModelConfig = defineError('invalid_model_config', {
  status: 500,
  exitCode: 78,
  publicMessage: 'The model configuration is not valid.',
});
export const InvalidArtifact = defineError('invalid_artifact', {
  status: 500,
  exitCode: 65,
  publicMessage: 'The model artifact is refused.',
});
export const InvalidTensorFile = defineError('invalid_tensor_file', {
  status: 500,
  exitCode: 65,
  publicMessage: 'The tensor file is refused.',
});
export const OutputNotWritable = defineError('output_not_writable', {
  status: 500,
  exitCode: 73,
  publicMessage: 'An output cannot be written.',
});
export const StagingFailed = defineError('staging_failed', {
  status: 500,
  exitCode: 74,
  publicMessage: 'Temporary files could not be used.',
});
export const ModelNotFound = defineError('model_not_found', {
  status: 404,
  exitCode: 66,
  publicMessage: 'There is no such model version.',
});
export const PublishRefused = defineError('publish_refused', {
  status: 409,
  exitCode: 1,
  publicMessage: 'The model version was not published.',
});
export const PublishConflict = defineError('publish_conflict', {
  status: 409,
  exitCode: 75,
  retryable: true,
  publicMessage: 'The model version was not published: another was at work.',
});
export const BackendUnavailable = defineError('backend_unavailable', {
  status: 500,
  exitCode: 69,
  publicMessage: 'The tensor backend cannot be used.',
});
export const DataFolderInUse = defineError('data_folder_in_use', {
  status: 503,
  exitCode: 75,
  retryable: true,
  publicMessage: 'Another process uses the data folder.',
});
export const TrainerBusy = defineError('trainer_busy', {
  status: 503,
  exitCode: 75,
  retryable: true,
  publicMessage: 'Another trainer works.',
});
export const TrainingLeaseLost = defineError('training_lease_lost', {
  status: 500,
  exitCode: 75,
  retryable: true,
  publicMessage: "The training run is not this trainer's any more.",
});
export const TrainingFailed = defineError('training_failed', {
  status: 500,
  exitCode: 1,
  publicMessage: 'The training failed.',
});
export const DatabaseUnsuitable = defineError('database_unsuitable', {
  status: 500,
  exitCode: 78,
  publicMessage: 'The database cannot be used.',
});
export const MigrationConflict = defineError('migration_conflict', {
  status: 500,
  exitCode: 70,
  publicMessage: 'The database schema does not match the migrations.',
});

// Time cures these.
export const NoPublishedModel = defineError('no_published_model', {
  status: 503,
  exitCode: 69,
  retryable: true,
  publicMessage: 'No model has been published yet.',
});
export const DatabaseUnavailable = defineError('database_unavailable', {
  status: 503,
  exitCode: 69,
  retryable: true,
  publicMessage: 'The database cannot be reached.',
});
export const EventLogUnavailable = defineError('event_log_unavailable', {
  status: 503,
  exitCode: 69,
  retryable: true,
  publicMessage: 'The event log cannot be reached.',
});
export const StateNotReady = defineError('state_not_ready', {
  status: 503,
  exitCode: 75,
  retryable: true,
  detailIsPublic: true,
  publicMessage: 'The events have not reached the state of the user yet.',
});
export const NotReady = defineError('not_ready', {
  status: 503,
  exitCode: 75,
  retryable: true,
  detailIsPublic: true,
  publicMessage: 'The server is not ready.',
});
export const Overloaded = defineError('overloaded', {
  status: 503,
  exitCode: 75,
  retryable: true,
  detailIsPublic: true,
  publicMessage: 'The server has more requests than it can answer.',
});
export const ShuttingDown = defineError('shutting_down', {
  status: 503,
  exitCode: 75,
  retryable: true,
  publicMessage: 'The server is shutting down.',
});
export const Interrupted = defineError('interrupted', {
  status: 503,
  exitCode: 130,
  retryable: true,
  publicMessage: 'Interrupted.',
});

// Nobody's input: a fault of nestrec.
export const InternalError = defineError('internal_error', {
  status: 500,
  exitCode: 70,
  publicMessage: 'Something went wrong inside nestrec.',
});
export const InvalidState = defineError('invalid_state', {
  status: 500,
  exitCode: 70,
  publicMessage: 'The stored state of a user is refused.',
});
export const EventLogUnsuitable = defineError('event_log_unsuitable', {
  status: 500,
  exitCode: 78,
  publicMessage: 'The event log must not be used as it is.',
});
export const EventLogGap = defineError('event_log_gap', {
  status: 500,
  exitCode: 70,
  publicMessage: 'The event log does not hold what follows the last applied event.',
});
export const WorkerFailed = defineError('worker_failed', {
  status: 500,
  exitCode: 70,
  publicMessage: 'A worker thread of nestrec ended before its work was done.',
});
