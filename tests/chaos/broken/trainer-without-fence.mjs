/**
 * A deliberately broken trainer: the product in everything, but whoever wakes after another took over does not
 * notice: nothing asks for its fence any more. Loaded before the program, by NODE_OPTIONS.
 */
import pg from 'pg';

const HELD = "id = $1 AND fence = $2 AND status = 'running'";
const query = pg.Client.prototype.query;

pg.Client.prototype.query = function queryWithoutFence(first, ...rest) {
  const text = first?.text;
  if (typeof text === 'string' && text.includes(HELD)) {
    return query.call(
      this,
      { ...first, text: text.replace(HELD, 'id = $1 AND $2::int > 0') },
      ...rest,
    );
  }
  return query.call(this, first, ...rest);
};
