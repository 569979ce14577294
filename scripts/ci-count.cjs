/** Adds up what `.ci/run` ran, and names what failed. A file that ran once more counts by its last run. */
const { existsSync, readFileSync } = require('node:fs')
const { relative } = require('node:path')

const [status, ...paths] = process.argv.slice(2)
const filesOf = (path) =>
  existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).testResults : []

const namesIn = (path) => new Set(existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [])

const counts = { passed: 0, failed: 0, skipped: 0 }
const countOf = {
  passed: 'passed',
  failed: 'failed',
  pending: 'skipped',
  skipped: 'skipped',
  todo: 'skipped',
}
const isFailed = (it) => it.status === 'failed'

const print = (file, remark) => {
  console.log(`${relative('.', file.name)} ${remark}`)
  for (const { fullName, failureMessages } of file.assertionResults.filter(isFailed))
    console.log(`  ${fullName}\n  ${failureMessages.join('\n  ').slice(0, 1_500)}`)
}

for (const path of paths) {
  const again = filesOf(path.replace('test-results', 'again'))
  const lastOf = new Map(again.map((file) => [file.name, file]))
  const unended = namesIn(`${path}.unended`)
  const first = filesOf(path)
  const begun = new Set(first.map(({ name }) => name))
  for (const file of [...first, ...again.filter(({ name }) => !begun.has(name))]) {
    const last = lastOf.get(file.name) ?? file
    for (const test of last.assertionResults) counts[countOf[test.status] ?? 'failed']++
    // A file that does not load has no tests.
    if (isFailed(last) && !last.assertionResults.some(isFailed)) counts.failed++
    const beside = unended.has(relative('.', file.name)) ? 'did not end' : 'failed'
    if (isFailed(file) || beside !== 'failed')
      print(file, isFailed(last) ? 'failed' : `${beside} beside others, and passed alone`)
  }
}
// Whatever else stopped a run (the build, types, lint, an unhandled rejection) counts as one failure.
if (counts.failed === 0 && (status !== '0' || counts.passed === 0)) counts.failed = 1
const { passed, failed, skipped } = counts
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`)
process.exit(failed ? 1 : 0)
