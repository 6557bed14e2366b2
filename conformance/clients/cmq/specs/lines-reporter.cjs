// One line per test, as run.sh counts them.
const path = require('node:path');

module.exports = class LinesReporter {
  onTestResult(_test, { testFilePath, testResults, testExecError }) {
    const file = path.basename(testFilePath, '.spec.ts');
    if (testExecError) console.log(`not ok ${file}: ${testExecError.message.split('\n')[0]}`);
    for (const { status, title, failureMessages } of testResults) {
      const reason = failureMessages.join(' ').split('\n').slice(0, 6).join(' | ');
      console.log(status === 'passed' ? `ok ${file}: ${title}` : `not ok ${file}: ${title}: ${reason}`);
    }
  }
};
