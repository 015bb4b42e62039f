-- A state is rewritten with every event of its user, and float32 do not compress: up to 8 kB (D = 256 with
-- one block: 3 kB) it stays in its row instead of in TOAST, and half of a page is kept free, so that the
-- new row lands in the same page and no index changes (decision 0018). Larger states go to TOAST, whole.
ALTER TABLE user_states ALTER COLUMN state SET STORAGE EXTERNAL;
ALTER TABLE user_states SET (toast_tuple_target = 8160, fillfactor = 50);
