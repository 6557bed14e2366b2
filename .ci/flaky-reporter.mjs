/**
 * A reporter that names every test which failed and passed when it was tried again, with what went
 * wrong: `flaky: FILE > NAME: ERROR`. Such a test is a defect to mend, and must not go unseen.
 */
export default class FlakyReporter {
  onTestRunEnd(testModules) {
    for (const testModule of testModules) {
      for (const test of testModule.children.allTests('passed')) {
        if (test.diagnostic()?.flaky !== true) continue;
        const message = test.result().errors?.[0]?.message ?? 'no error was kept';
        const [reason] = message.split('\n', 1);
        process.stdout.write(
          `\nflaky: ${testModule.relativeModuleId} > ${test.fullName}: ${reason}\n`,
        );
      }
    }
  }
}
