/** Settings of the database connection, the same in every process. */
import { booleanSetting, textSetting, type Config } from '@nestrec/runtime';

export const databaseSettings = {
  databaseUrl: textSetting({
    env: 'DATABASE_URL',
    default: null,
    secret: true,
    want: 'postgres://user:password@host:port/database',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    description: 'PostgreSQL with pgvector instead of the embedded database',
  }),
  allowUnsafeDurability: booleanSetting({
    env: 'NESTREC_ALLOW_UNSAFE_DURABILITY',
    default: false,
    description:
      'Accept a PostgreSQL with fsync=off or synchronous_commit=off, which loses acknowledged events in a crash',
  }),
};

export type DatabaseConfig = Config<typeof databaseSettings>;
