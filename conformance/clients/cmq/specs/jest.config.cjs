// Runs the specs that ship inside cmq-sdk as they are: compiled without type checks, since they were
// written for the compiler of their time.
const path = require('node:path');

module.exports = {
  rootDir: process.env.CMQ_SPECS,
  testEnvironment: 'node',
  transform: { '^.+\\.ts$': 'ts-jest' },
  testRegex: '/tests/.*\\.spec\\.ts$',
  moduleFileExtensions: ['ts', 'js', 'json', 'node'],
  globals: { 'ts-jest': { isolatedModules: true } },
  // They wait seconds for a slow service: all eight wait side by side.
  maxWorkers: 8,
  reporters: [path.join(__dirname, 'lines-reporter.cjs')],
};
