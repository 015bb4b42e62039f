-- Indexes of the catalogue: filters of lists that few items match find these without reading all of it
-- (docs/results.md). Built while the table is locked against writes: about 3 s per 100,000 items.
CREATE INDEX items_by_fields ON items USING gin (fields jsonb_path_ops);
CREATE INDEX items_by_categories ON items USING gin (categories);
CREATE INDEX items_by_brand ON items (brand);
