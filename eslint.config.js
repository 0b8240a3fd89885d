import js from '@eslint/js';
import globals from 'globals';

const plain = [
  { selector: 'ClassDeclaration, ClassExpression', message: 'Plain functions and module state: no classes.' },
  { selector: "CallExpression[callee.property.name='insertAdjacentHTML']", message: 'textContent only.' },
  { selector: "MemberExpression[property.name=/^(innerHTML|outerHTML)$/]", message: 'textContent only.' },
];
const noThis = { selector: 'ThisExpression', message: 'Module state, not objects with methods.' };

export default [
  js.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'no-alert': 'error',
      'no-console': 'error',
      'no-restricted-syntax': ['error', ...plain, noThis],
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  { files: ['frontend/js/**'], languageOptions: { globals: globals.browser } },
  {
    files: ['frontend/js/worklets/**'],
    languageOptions: { globals: globals.audioWorklet },
    rules: { 'no-restricted-syntax': ['error', ...plain] },
  },
  { files: ['tests/js/**', 'tests/conformance/**', 'eslint.config.js'], languageOptions: { globals: globals.node } },
];
