/** Parameters of one statement; made where the statements over vector tables are. */
export { sqlParameters, type SqlParameters, type Statement } from '@nestrec/storage';
