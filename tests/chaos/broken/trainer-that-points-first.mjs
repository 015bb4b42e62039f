/**
 * A deliberately broken trainer: the product in everything, but the pointer moves as soon as there is a table of
 * vectors to point to, and not when it is whole. Loaded before the program, by NODE_OPTIONS.
 */
import pg from 'pg';

const TABLE = /^\s*CREATE TABLE "?item_vectors_(\w+)/;
const query = pg.Client.prototype.query;

pg.Client.prototype.query = function queryThatPointsFirst(first, ...rest) {
  const version = TABLE.exec(first?.text ?? '')?.[1];
  const result = query.call(this, first, ...rest);
  if (version !== undefined) {
    void query
      .call(this, `UPDATE published_model SET previous_version = version, version = '${version}'`)
      .catch(() => undefined);
  }
  return result;
};
