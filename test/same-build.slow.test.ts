/**
 * The build that wrote the data finds nothing in it: the instances of each program of the docs are judged by
 * their own tree before they are closed.
 */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, parse, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { examplesOf, folderInside } from './support/doc-examples.ts'

const runner = join(import.meta.dirname, 'support/programs/rehearsed/run.mjs')

/** The pages whose programs have trees with durable actors, workflows or queues. */
const pages = [
  ...['flow', 'flow-reference', 'flow-queues', 'flow-queues-reference', 'agents', 'schemas'],
  ...['durable-actors', 'durable-failures', 'durable-lives', 'state-machines', 'streams'],
].map((name) => `docs/${name}.md`)

type Report = { readonly findings: readonly unknown[]; readonly judged: number }

test('the programs of the docs find nothing about their own data', {
  tags: ['RE3'],
  timeout: 400_000,
}, async () => {
  const programs = pages.flatMap((page) =>
    examplesOf(page, 'js').map((code, at) => ({ name: `${page} ${at + 1}`, page, code })),
  )
  const files = programs.map(({ page, code }) => {
    const path = join(folderInside(), `${parse(page).name}.mjs`)
    writeFileSync(path, code)
    return resolve(path)
  })

  const { stdout } = await promisify(execFile)(process.execPath, [runner, ...files])

  const [, ...outputs] = stdout.split(/^begins\n/m)
  const reports = programs.flatMap(({ name }, at) => {
    const lines = (outputs[at] ?? '').matchAll(/^judged (.*)$/gm)
    return [...lines].map(([, line = '']) => ({ name, ...(JSON.parse(line) as Report) }))
  })
  expect(reports.filter(({ findings }) => findings.length > 0)).toEqual([])
  expect(reports.filter(({ judged }) => judged > 0).length).toBeGreaterThan(20)
})
