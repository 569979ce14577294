/** Examples of the README and the docs as programs: their code, and a folder to run them in. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'

/** The pages whose examples in JavaScript are all programs. */
export const examplePages = [
  'docs/store.md',
  'docs/store-reference.md',
  'docs/store-running.md',
  'docs/blobs.md',
  'docs/blobs-reference.md',
  'docs/projections.md',
  'docs/projections-reference.md',
  'docs/actors.md',
  'docs/names.md',
  'docs/supervision.md',
  'docs/tasks.md',
  'docs/logs-and-reports.md',
  'docs/durable-actors.md',
  'docs/durable-failures.md',
  'docs/durable-lives.md',
  'docs/flow.md',
  'docs/flow-reference.md',
  'docs/flow-queues.md',
  'docs/flow-queues-reference.md',
  'docs/groups-and-pools.md',
  'docs/errors.md',
  'docs/events.md',
  'docs/operations.md',
  'docs/tracing.md',
  'docs/state-machines.md',
  'docs/state-machines-reference.md',
  'docs/testing.md',
  'docs/testing-reference.md',
  'docs/wal.md',
  'docs/wal-reference.md',
  'docs/journal.md',
  'docs/references.md',
  'docs/streams.md',
  'docs/agents.md',
  'docs/schemas.md',
]

/** The examples of a page in one language, in their order. */
export const examplesOf = (file: string, language: string): string[] =>
  [
    ...readFileSync(file, 'utf8').matchAll(
      new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'),
    ),
  ].map(([, code]) => code ?? '')

/** A folder inside the package, so that `keelson` is this package there. Removed after the test. */
export const folderInside = (): string => {
  mkdirSync('.tmp', { recursive: true })
  const dir = mkdtempSync(join('.tmp', 'readme-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** The comment after a line is what the line prints. */
export const expectSaid = (example: string, output: string): void => {
  for (const [, printed = ''] of example.matchAll(/console\.log\(.*\/\/ (.*)$/gm))
    for (const line of printed.split(' | ')) expect(output.split('\n'), example).toContain(line)
}
