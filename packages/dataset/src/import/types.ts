/** What importers take and give. Options keep the names of the command line's flags where they have one. */
import type { Item } from '@nestrec/contracts';
import type { DatasetRow } from '../build-dataset.js';

export type TableFormat = 'csv' | 'tsv' | 'jsonl' | 'parquet' | 'recbole';

/** A file of `user item item ...` lines, or a table with one event a row. `.gz` and `.zst` are inflated. */
export type InteractionSource =
  | {
      readonly kind: 'sequences';
      readonly path: string;
      /** The same lines with times in place of items. Without it, order is file order. */
      readonly timestampsPath?: string;
    }
  | {
      readonly kind: 'table';
      readonly path: string;
      /** Default: from the file's name. */
      readonly format?: TableFormat;
    };

/** Our field -> column of the file, such as `{user_id: 'CustomerID'}`. */
export type ColumnMapping = Readonly<Record<string, string>>;

export interface ImportOptions {
  /**
   * Fields: user_id, item_id (required), timestamp, type, value, event_id. Fields that are not named
   * are taken from the column of the same name where there is one.
   */
  readonly map?: ColumnMapping;
  /** One SQL expression over the file's columns; rows for which it is not true count as filtered. */
  readonly where?: string;
  /** Share of bad rows (0..1) above which nothing is imported. Default 0.001. */
  readonly maxBad?: number;
  /** JSON Lines file that gets every rejected row: {line, column, reason, got, want, row}. */
  readonly rejectsPath?: string;
  /** CSV only. Default ',' for .csv, tab for .tsv and RecBole files. */
  readonly delimiter?: string;
  /** CSV and TSV only: false names the columns column1, column2, ... Default true. */
  readonly header?: boolean;
  /** Folder for the staging database; removed by `close()`. Default: the system's temporary folder. */
  readonly tempDir?: string;
  /** DuckDB's share of memory; the process takes some 400 MiB more. Default 384 MiB. */
  readonly memoryLimitMb?: number;
  readonly threads?: number;
  /** Most bytes that a compressed file may inflate to. Default 64 GiB. */
  readonly maxInflatedBytes?: number;
  /** Called now and then with the rows read so far. */
  readonly onProgress?: (rowsRead: number) => void;
}

export type TimeUnit = 's' | 'ms' | 'us' | 'ns';

export interface InteractionImportOptions extends ImportOptions {
  /** Unit of numeric times. Default 'auto': from their size; rows of another unit than most are bad. */
  readonly timeUnit?: TimeUnit | 'auto';
  /** strptime format for text times that are not ISO 8601, such as '%m/%d/%Y %H:%M' (UTC). */
  readonly timeFormat?: string;
  /** Earlier events are bad rows. Default 2000-01-01, as at the API. */
  readonly earliestMs?: number;
  /** Now, for the check against future times. */
  readonly nowMs: number;
  /** Type of events without a type column. Default 'interaction'. */
  readonly type?: string;
  /** What happens to rows that repeat another in every field: kept as further events, or duplicates. */
  readonly repeatedRows?: 'keep' | 'drop';
}

export interface ItemImportOptions extends ImportOptions {
  /** Splits categories that are one text. Default '|' (RecBole: a space). */
  readonly categorySeparator?: string;
  /** Which title an item with several rows keeps; all other fields come from its last row. */
  readonly repeatedTitle?: 'most_frequent' | 'last';
}

export interface InteractionRow extends DatasetRow {
  readonly type: string;
  readonly value: number | null;
}

/** One rejected row, as shown: `got` has at most 64 characters. */
export interface Reject {
  /** Line of the file where the format has lines (Parquet: number of the row), from 1. */
  readonly line: number;
  /** Column of the file, or the field of ours, where one is at fault. */
  readonly column: string | null;
  readonly reason: string;
  readonly got: string;
  readonly want: string;
}

/** read = stored + duplicate + filtered + bad, always. */
export interface ImportSummary {
  readonly path: string;
  readonly format: string;
  /** Rows of the file; events for sequence files. */
  readonly read: number;
  /** Rows handed on. The caller moves those that its store had already with `withAlreadyStored`. */
  readonly stored: number;
  readonly duplicate: number;
  readonly filtered: number;
  readonly bad: number;
  readonly badByReason: Readonly<Record<string, number>>;
  /** The first 20. */
  readonly rejects: readonly Reject[];
  readonly rejectsPath: string | null;
  /** What the importer decided and the operator should know, one sentence each. */
  readonly notes: readonly string[];
}

export interface InteractionImportSummary extends ImportSummary {
  readonly users: number;
  readonly items: number;
  /** Epoch milliseconds of the oldest and newest event; null when the file has no times. */
  readonly from: number | null;
  readonly to: number | null;
  /** False when times were made up from the file's order. */
  readonly realTimes: boolean;
}

export interface ItemImportSummary extends ImportSummary {
  readonly withoutTitle: number;
}

/** A checked import: nothing is handed on before all rows have been judged. */
export interface InteractionImport {
  readonly summary: InteractionImportSummary;
  /**
   * 'file': order of the file. 'user': by user, time, event id (as `buildDataset` wants it). May be
   * called again; memory is bounded by `batchSize` and DuckDB's limit.
   */
  batches(options?: {
    readonly batchSize?: number;
    readonly order?: 'file' | 'user';
  }): AsyncIterable<InteractionRow[]>;
  /** Removes the staging database. */
  close(): Promise<void>;
}

export interface ItemImport {
  readonly summary: ItemImportSummary;
  /** Each item once, in order of first appearance in the file. */
  batches(options?: { readonly batchSize?: number }): AsyncIterable<Item[]>;
  close(): Promise<void>;
}
