/** deploy/kubernetes says what the code and the image say; its objects have the fields that Kubernetes wants. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cliSettings } from '@nestrec/cli';
import { InvalidConfig, InsufficientData } from '@nestrec/errors';
import { loadConfig } from '@nestrec/runtime';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { REFUSED_EXIT_CODE } from '../../services/cli/src/commands/retrain.js';
import { scheduleFault } from '../../services/trainer/src/schedule.js';
import { environmentOf, readCompose } from '../helpers/compose-file.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const file = join(root, 'deploy/kubernetes/retrain.yaml');
const { services } = readCompose({ POSTGRES_PASSWORD: 'a-test-password' });

const name = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
const quantity = z.string().regex(/^\d+(m|Mi|Gi)?$/);
const metadata = z.strictObject({ name, labels: z.record(z.string(), name) });

/** The part of Kubernetes' own schemas that is used here, closed: a misspelt field is ignored there without a word. */
const claimSchema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('PersistentVolumeClaim'),
  metadata,
  spec: z.strictObject({
    accessModes: z.array(z.enum(['ReadWriteOnce', 'ReadWriteMany'])),
    resources: z.strictObject({ requests: z.strictObject({ storage: quantity }) }),
  }),
});

const containerSchema = z.strictObject({
  name,
  image: z.string(),
  command: z.array(z.string()),
  args: z.array(z.string()),
  env: z.array(
    z.union([
      z.strictObject({ name: z.string(), value: z.string() }),
      z.strictObject({
        name: z.string(),
        valueFrom: z.strictObject({ secretKeyRef: z.strictObject({ name, key: z.string() }) }),
      }),
    ]),
  ),
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
  }),
  resources: z.strictObject({
    requests: z.strictObject({ cpu: quantity, memory: quantity }),
    limits: z.strictObject({ memory: quantity }),
  }),
  volumeMounts: z.array(z.strictObject({ name, mountPath: z.string().startsWith('/') })),
});

const podSchema = z.strictObject({
  restartPolicy: z.literal('Never'),
  terminationGracePeriodSeconds: z.number().int(),
  automountServiceAccountToken: z.literal(false),
  securityContext: z.strictObject({
    runAsNonRoot: z.literal(true),
    runAsUser: z.number().int().min(1),
    runAsGroup: z.number().int().min(1),
    fsGroup: z.number().int().min(1),
    seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
  }),
  containers: z.tuple([containerSchema]),
  volumes: z.array(
    z.union([
      z.strictObject({ name, persistentVolumeClaim: z.strictObject({ claimName: name }) }),
      z.strictObject({ name, emptyDir: z.strictObject({}) }),
    ]),
  ),
});

const cronJobSchema = z.strictObject({
  apiVersion: z.literal('batch/v1'),
  kind: z.literal('CronJob'),
  metadata,
  spec: z.strictObject({
    schedule: z.string(),
    timeZone: z.string(),
    concurrencyPolicy: z.enum(['Allow', 'Forbid', 'Replace']),
    startingDeadlineSeconds: z.number().int(),
    successfulJobsHistoryLimit: z.number().int(),
    failedJobsHistoryLimit: z.number().int(),
    jobTemplate: z.strictObject({
      spec: z.strictObject({
        activeDeadlineSeconds: z.number().int(),
        backoffLimit: z.number().int(),
        podFailurePolicy: z.strictObject({
          rules: z.tuple([
            z.strictObject({
              action: z.literal('FailJob'),
              onExitCodes: z.strictObject({
                containerName: name,
                operator: z.literal('In'),
                values: z.array(z.number().int()),
              }),
            }),
            z.strictObject({
              action: z.literal('Ignore'),
              onPodConditions: z.array(z.strictObject({ type: z.literal('DisruptionTarget') })),
            }),
          ]),
        }),
        template: z.strictObject({
          metadata: z.strictObject({ labels: z.record(z.string(), name) }),
          spec: podSchema,
        }),
      }),
    }),
  }),
});

const documents = parseAllDocuments(readFileSync(file, 'utf8')).map((one) => one.toJS() as unknown);
const claims = documents.slice(0, 2).map((one) => claimSchema.parse(one));
const { spec } = cronJobSchema.parse(documents[2]);
const job = spec.jobTemplate.spec;
const pod = job.template.spec;
const container = pod.containers[0];

describe('deploy/kubernetes/retrain.yaml', () => {
  it('is two claims and a cron job, and nothing else', () => {
    expect(documents).toHaveLength(3);
  });

  it('trains at the times of docker-compose.yml, in UTC, and never twice at once', () => {
    expect(spec.schedule).toBe(environmentOf(services.trainer)['NESTREC_RETRAIN_CRON']);
    expect(scheduleFault(spec.schedule)).toBeNull();
    expect([spec.timeZone, spec.concurrencyPolicy]).toEqual(['Etc/UTC', 'Forbid']);
  });

  it('runs what the image has, as the user of the image, with settings that it takes', () => {
    expect(container.command[0]).toBe('node');
    expect(existsSync(join(root, container.command[1]!))).toBe(true);
    expect(container.args[0]).toBe('retrain');
    expect(pod.securityContext).toMatchObject({ runAsUser: 1000, runAsGroup: 1000 });
    const env = Object.fromEntries(
      container.env.map((one) => [
        one.name,
        'value' in one ? one.value : 'postgres://u@db/nestrec',
      ]),
    );
    const { TMPDIR, ...ours } = env;
    expect(() => loadConfig(cliSettings, ours)).not.toThrow();
    expect(TMPDIR!.startsWith(ours['NESTREC_DATA_DIR']!)).toBe(true);
    expect(ours['NESTREC_DATA_DIR']).toBe(environmentOf(services.trainer)['NESTREC_DATA_DIR']);
  });

  it('does not try again what trying again cannot cure', () => {
    const [never] = job.podFailurePolicy.rules;
    expect(never.onExitCodes.containerName).toBe(container.name);
    expect(never.onExitCodes.values).toEqual([
      REFUSED_EXIT_CODE,
      InsufficientData.traits.exitCode,
      InvalidConfig.traits.exitCode,
    ]);
  });

  it('mounts every volume that it names, from claims that are there', () => {
    const mounted = container.volumeMounts.map((mount) => mount.name).sort();
    expect(mounted).toEqual(pod.volumes.map((volume) => volume.name).sort());
    const wanted = pod.volumes.flatMap((volume) =>
      'persistentVolumeClaim' in volume ? [volume.persistentVolumeClaim.claimName] : [],
    );
    expect(wanted.sort()).toEqual(claims.map((claim) => claim.metadata.name).sort());
  });
});
