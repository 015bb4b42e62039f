// Lint rules: the import guards that keep data flowing one way, file size caps, and the TypeScript recommended set.
// Run: npm run lint
import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

const SOURCES = ['packages/*/src/**/*.ts', 'services/*/src/**/*.ts'];
/**
 * What may stand in the text of a statement: constants, and table names and expressions that these make of
 * checked versions and numbers. Everything else is data and travels in parameters.
 */
const SQL_CONSTANT = 'Identifier[name=/^[A-Z][A-Z0-9_]*$/]';
const SQL_MADE = 'CallExpression[callee.name=/^(itemVectorsTable|itemVectorsPrefix)$/]';
const SQL_NUMBER =
  'CallExpression[callee.object.name="Math"], BinaryExpression[left.property.name="length"]';
const SQL_TABLE = 'Identifier[name="table"], MemberExpression[property.name="table"]';
const DATA_IN_SQL = {
  selector: `CallExpression[callee.property.name=/^(query|execute)$/] > TemplateLiteral.arguments:first-child > .expressions:not(${SQL_CONSTANT}, ${SQL_MADE}, ${SQL_NUMBER}, ${SQL_TABLE})`,
  message:
    'Only constants and checked table names may be part of a statement; pass everything else as a parameter.',
};
const SUM_IN_SQL = {
  selector:
    'CallExpression[callee.property.name=/^(query|execute)$/] > BinaryExpression.arguments:first-child',
  message: 'Write a statement as one text; pass what varies as a parameter.',
};
const TESTS = ['**/*.test.ts', 'tests/**/*.ts', 'vitest.config.ts'];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '.cache/**', '.nestrec/**', 'coverage/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    plugins: { 'import-x': importX },
    settings: {
      // Without this parser entry `no-cycle` reports nothing on TypeScript.
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [
        createTypeScriptImportResolver({
          conditionNames: ['@nestrec/source', 'types', 'import', 'default'],
          project: ['packages/*/tsconfig.json', 'services/*/tsconfig.json'],
          noWarnOnMultipleProjects: true,
        }),
      ],
      'import-x/internal-regex': '^@nestrec/',
    },
    rules: {
      'import-x/no-cycle': 'error',
      'import-x/no-self-import': 'error',
      'import-x/no-unresolved': 'error',
      'import-x/no-relative-packages': 'error',
      'import-x/no-extraneous-dependencies': [
        'error',
        { devDependencies: false, includeInternal: true, includeTypes: true },
      ],
      'no-restricted-imports': ['error', { patterns: ['@nestrec/*/*'] }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 100, skipBlankLines: true, skipComments: true }],
      'no-restricted-syntax': ['error', DATA_IN_SQL, SUM_IN_SQL],
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'Only main.ts reads the environment, and hands it to the config schema.',
        },
      ],
    },
  },
  {
    files: SOURCES.map((s) => s.replace('**/*.ts', 'main.ts')),
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: TESTS,
    rules: {
      'import-x/no-extraneous-dependencies': 'off',
      'import-x/no-relative-packages': 'off',
      'max-lines': ['error', { max: 600 }],
      'max-lines-per-function': 'off',
      'no-restricted-properties': 'off',
      'no-restricted-syntax': 'off',
    },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        fetch: 'readonly',
        AbortSignal: 'readonly',
      },
    },
  },
  prettier,
);
