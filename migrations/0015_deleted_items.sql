-- Items that were deleted, so that no version brings them back: not the first, which finds no earlier one to
-- go by, and not one that learned from their interactions after a version without them. A row counts only
-- where the catalogue has no such item; writing the item removes it.
CREATE TABLE deleted_items (
  item_id entity_id PRIMARY KEY,
  deleted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What was deleted before there was this table is marked in the versions that stand.
DO $$
DECLARE
  vectors text;
BEGIN
  FOR vectors IN
    SELECT quote_ident(c.relname) FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(current_schema())
      AND starts_with(c.relname, 'item_vectors_')
      AND EXISTS (SELECT 1 FROM pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attname = 'removed' AND NOT a.attisdropped)
  LOOP
    EXECUTE 'INSERT INTO deleted_items (item_id)
             SELECT v.item_id FROM ' || vectors || ' v
             WHERE v.removed AND NOT EXISTS (SELECT 1 FROM items i WHERE i.item_id = v.item_id)
             ON CONFLICT (item_id) DO NOTHING';
  END LOOP;
END $$;
