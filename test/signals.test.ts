/**
 * What is shipped for the programs that watch: the page of metrics, the dashboard and the alerts say
 * what the code has. `npx vitest run test/signals.test.ts -u` writes the dashboard.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { troubleKinds } from '../src/inspect/answers/trouble-kinds.ts'
import { metrics } from '../src/inspect/operations/metric-table.ts'
import type { FailedWork } from '../src/inspect/recorder/failure-counts.ts'
import { dashboard, metricRows } from './support/models/metrics-page.ts'

test('the page lists every metric with its type, unit and labels, and no other', () => {
  const rows = readFileSync('docs/metrics.md', 'utf8').match(/^\| `[a-z]\w+` \|.*$/gm)
  expect(rows).toEqual(metricRows())
})

test('a name says its unit, and the ending of a counter', () => {
  for (const { name, type } of Object.values(metrics)) {
    expect(name).toMatch(/^(keelson|nodejs|process)_[a-z_]+$/)
    expect(name.endsWith('_total'), name).toBe(type === 'counter')
  }
})

test('the dashboard is made from the table', async () => {
  await expect(`${JSON.stringify(dashboard(), undefined, 1)}\n`).toMatchFileSnapshot(
    '../signals/dashboard.json',
  )
})

test('the rule of an alert shows the kinds of trouble that name it, with their severity', () => {
  const rules = [
    ...readFileSync('signals/alerts.yml', 'utf8').matchAll(
      /- alert: (\w+)\n\s+expr:[^{]*\{kind=~?"([^"]+)"\}[\s\S]*?severity: (\w+)/g,
    ),
  ].flatMap(([, alert, kinds = '', severity]) =>
    kinds.split('|').map((kind) => ({ kind, alert, severity })),
  )
  const table = Object.entries(troubleKinds).map(([kind, { alert, severity }]) => {
    return { kind, alert, severity }
  })
  const byKind = (one: { kind: string }, other: { kind: string }) =>
    one.kind < other.kind ? -1 : 1
  expect(rules.sort(byKind)).toEqual(table.sort(byKind))
})

test('the runbook names the kinds of the alert that has no subject', () => {
  const entry = /### KeelsonWarning\n([\s\S]*?)- \*\*Look/.exec(
    readFileSync('docs/operations.md', 'utf8'),
  )?.[1]
  const named = [...(entry ?? '').matchAll(/`([a-z ]+)`/g)].map(([, kind]) => kind)
  const ofIt = Object.entries(troubleKinds).filter(([, { alert }]) => alert === 'KeelsonWarning')
  expect(named.filter((kind) => kind !== 'kind').sort()).toEqual(ofIt.map(([kind]) => kind).sort())
})

test('runbook and metrics name each sort of work of users whose failures are counted', () => {
  const sorts: Readonly<Record<FailedWork, 0>> = {
    step: 0,
    job: 0,
    run: 0,
    alarm: 0,
    continue: 0,
    handler: 0,
    machine: 0,
    task: 0,
    projection: 0,
    subscription: 0,
  }
  const places = [
    ['docs/operations.md', /`what` says which work: ([^.]*)\./],
    ['docs/metrics.md', /`what` of `keelson_failures_total` is ([^.;:]*)/],
  ] as const
  for (const [file, sentence] of places) {
    const [, list = ''] = sentence.exec(readFileSync(file, 'utf8')) ?? []
    const named = [...list.matchAll(/`(\w+)`/g)].map(([, sort]) => sort)
    expect(named.sort(), file).toEqual(Object.keys(sorts).sort())
  }
})

test('every alert has a severity, an entry in the runbook, and metrics that exist', () => {
  const alerts = readFileSync('signals/alerts.yml', 'utf8')
    .split(/^ {6}- alert: /m)
    .slice(1)
  expect(alerts).toHaveLength(18)
  const runbook = readFileSync('docs/operations.md', 'utf8')
  const names = Object.values(metrics).map(({ name }) => name as string)
  for (const alert of alerts) {
    const [name = ''] = alert.split('\n')
    expect(alert).toMatch(/severity: (critical|warning)/)
    expect(alert).toContain(`runbook: docs/operations.md#${name.toLowerCase()}`)
    expect(runbook).toContain(`\n### ${name}\n`)
    const used = alert.match(/\b(?:keelson|nodejs|process)_\w+/g) ?? []
    expect(used.length, name).toBeGreaterThan(0)
    for (const metric of used) expect(names, name).toContain(metric)
  }
})
