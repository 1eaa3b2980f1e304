// Prints `N passed, N failed, N skipped` from the JSON report of vitest named by the argument. Fails when no test ran. A missing
// report counts as no tests: something failed before them.
import { existsSync, readFileSync } from 'node:fs';

const path = process.argv[2] ?? '';
const report = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : { testResults: [] };
const tests = report.testResults.flatMap((file) => file.assertionResults);
const count = (...statuses) => tests.filter((test) => statuses.includes(test.status)).length;
// A file that cannot be loaded, or whose hooks fail, fails without a test that does.
const brokenFiles = report.testResults.filter(
  (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
);

const passed = count('passed');
const failed = count('failed') + brokenFiles.length;
console.log(`${passed} passed, ${failed} failed, ${tests.length - passed - count('failed')} skipped`);
if (passed + failed === 0) process.exitCode = 1;
