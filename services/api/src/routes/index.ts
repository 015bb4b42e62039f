/** The route table: the pipeline mounts it, the OpenAPI document lists it, the tests walk it. */
import type { Route } from '../http/route.js';
import { cancelTrainingRun } from './cancel-training-run/route.js';
import { deleteItem } from './delete-item/route.js';
import { deleteKey } from './delete-key/route.js';
import { deleteTier } from './delete-tier/route.js';
import { deleteUser } from './delete-user/route.js';
import { deleteUserEvent } from './delete-user-event/route.js';
import { getAdminTiers } from './get-admin-tiers/route.js';
import { getDocs } from './get-docs/route.js';
import { getDocsFile } from './get-docs-file/route.js';
import { getErasure } from './get-erasure/route.js';
import { getHealthz } from './get-healthz/route.js';
import { getItem } from './get-item/route.js';
import { getKeys } from './get-keys/route.js';
import { getMetrics } from './get-metrics/route.js';
import { getModel } from './get-model/route.js';
import { getModels } from './get-models/route.js';
import { getOpenApi } from './get-openapi/route.js';
import { getReadyz } from './get-readyz/route.js';
import { getSimilarItems } from './get-similar-items/route.js';
import { getTiers } from './get-tiers/route.js';
import { getTrainingRun } from './get-training-run/route.js';
import { getTrainingRuns } from './get-training-runs/route.js';
import { getUserRecommendations } from './get-user-recommendations/route.js';
import { postEvents } from './post-events/route.js';
import { postKey } from './post-key/route.js';
import { postSessionRecommendations } from './post-session-recommendations/route.js';
import { postUserRecommendations } from './post-user-recommendations/route.js';
import { postSimilarItems } from './post-similar-items/route.js';
import { postTrainingRun } from './post-training-run/route.js';
import { publishModel } from './publish-model/route.js';
import { putClient } from './put-client/route.js';
import { putItem } from './put-item/route.js';
import { putItems } from './put-items/route.js';
import { putTier } from './put-tier/route.js';
import { rotateKey } from './rotate-key/route.js';
import { rollbackModel } from './rollback-model/route.js';

export const routes: readonly Route[] = [
  postEvents,
  getUserRecommendations,
  postUserRecommendations,
  postSessionRecommendations,
  getSimilarItems,
  postSimilarItems,
  deleteUserEvent,
  deleteUser,
  getErasure,
  putItem,
  putItems,
  getItem,
  deleteItem,
  getTiers,
  getModels,
  getModel,
  publishModel,
  rollbackModel,
  postTrainingRun,
  getTrainingRuns,
  getTrainingRun,
  cancelTrainingRun,
  postKey,
  getKeys,
  deleteKey,
  rotateKey,
  putClient,
  getAdminTiers,
  putTier,
  deleteTier,
  getHealthz,
  getReadyz,
  getMetrics,
  getOpenApi,
  getDocs,
  getDocsFile,
];
