/**
 * A planted trouble of each kind is in `health()`, at the prompt, on the page and in the alerts, with
 * one severity.
 */
import { readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { type TroubleKind, troubleKinds } from '../../../src/inspect/answers/trouble-kinds.ts'
import type { Trouble } from '../../../src/inspect/answers/troubles.ts'
import { Looks } from '../../../src/inspect/observe/looks.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import { failureWords } from '../../../src/inspect/prompt/failure-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import type { Overview } from '../../../src/observe/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { alertsOn, noPromtool } from '../../support/commands/promtool.ts'
import { lacks } from '../../support/lacks.ts'
import { healthText } from '../../support/worlds/health-text.ts'
import { asked, openMetrics } from '../../support/worlds/operations-client.ts'
import { plants } from '../../support/worlds/planted-troubles.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

/** The alerts on a kind of trouble, with their severities. */
const rulesFor = (kind: string): readonly string[] =>
  readFileSync('signals/alerts.yml', 'utf8')
    .split('- alert: ')
    .flatMap((rule) => {
      const pattern = /keelson_troubles\{kind=~?"([^"]+)"\}/.exec(rule)?.[1]
      const isOf = pattern !== undefined && new RegExp(`^(?:${pattern})$`).test(kind)
      return isOf ? (/severity: (\w+)/.exec(rule)?.[1] ?? []) : []
    })

/** Whether an alert is on a measurement, and on no trouble. */
const isMeasured = (name: string): boolean => /LoopDelayed|FailuresRise/.test(name)

/** What is shown of an instance with these troubles. */
const shown = async (...kinds: readonly TroubleKind[]) => {
  const world = await simulated({ capacityBytes: 2 ** 40 })
  const health = kinds.reduce((each, kind) => plants[kind](each), world.app.health())
  const app: App = Object.create(world.app, { health: { value: () => health } })
  const looks = new Looks(app, false)
  onTestFinished(() => looks.end())
  const pick = ({ kind, severity }: Pick<Overview['troubles'][number], 'kind' | 'severity'>) => ({
    ...{ kind, severity },
  })
  const overview = (await world.during(looks.answer('overview', {}))).data as Overview
  const scraped = await world.during(asked(operations(app), '/metrics', { accept: openMetrics }))
  const data = failureWords(app, plainPaint).health().troubles as readonly Trouble[]
  const lines = healthText(app).split('\n\n')[0]?.split('\n') ?? []
  return {
    data: data.map(pick),
    prompt: lines.map((line) => /^(\w+): (.+?), /.exec(line)?.slice(1, 3)),
    page: overview.troubles.map(pick),
    metric: [
      ...(scraped?.body ?? '').matchAll(
        /^keelson_troubles\{kind="([^"]+)",severity="([^"]+)",of="[^"]*"\} 1$/gm,
      ),
    ].map(([, kind, severity]) => ({ kind, severity })),
    scraped: scraped?.body ?? '',
  }
}

test.each(Object.keys(troubleKinds) as TroubleKind[])(
  'a trouble of the kind %s is in health(), at the prompt, on the page and in an alert, with one severity',
  async (kind) => {
    const { severity } = troubleKinds[kind]
    const { data, prompt, page, metric } = await shown(kind)

    expect(data).toEqual([{ kind, severity }])
    expect(prompt).toEqual([[severity, kind]])
    expect(page).toEqual([{ kind, severity }])
    expect(metric).toEqual([{ kind, severity }])
    expect(rulesFor(kind)).toEqual([severity])
  },
)

test.skipIf(lacks(noPromtool))('every alert on troubles fires when its kinds last', async () => {
  // A shard that is down, or elsewhere, has no other trouble, and one failing step takes the place of another.
  const { 'shard down': _, 'shard without owner': __, 'failing step': ___, ...others } = plants
  const scrapes = [
    await shown(...(Object.keys(others) as TroubleKind[])),
    await shown('shard down'),
  ]
  const fired = scrapes.flatMap(({ scraped }) => alertsOn(Array(302).fill(scraped)))
  const names = readFileSync('signals/alerts.yml', 'utf8').matchAll(/- alert: (\w+)/g)

  expect([...new Set(fired)].sort()).toEqual(
    [...names].flatMap(([, name = '']) => (isMeasured(name) ? [] : [name])).sort(),
  )
})
