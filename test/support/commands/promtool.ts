/** `promtool` of Prometheus: whether it accepts metrics, and which alerts fire on what was scraped. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readOpenMetrics } from '../models/open-metrics.ts'
import { tempFolder } from '../temp-folder.ts'

/** Why no test can use it; `undefined`: it is there. */
export const noPromtool = spawnSync('promtool', ['--version']).error
  ? 'promtool is not installed: apt-get install prometheus'
  : undefined

/** What it has to say against metrics in the text format; empty: nothing. */
export const checkMetrics = (text: string): string => {
  const { stdout, stderr, status } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  })
  return status === 0 ? '' : `${status}: ${stdout}${stderr}`
}

/** The series of scrapes, one each second, as `promtool test rules` reads them. */
const seriesOf = (scrapes: readonly string[]): readonly object[] => {
  const series = new Map<string, (number | string)[]>()
  scrapes.forEach((text, second) => {
    for (const { name, labels, value } of readOpenMetrics(text).flatMap(({ samples }) => samples)) {
      const pairs = Object.entries(labels).map(([label, of]) => `${label}=${JSON.stringify(of)}`)
      const key = `${name}{${pairs}}`
      const values = series.get(key) ?? Array<'_'>(scrapes.length).fill('_')
      values[second] = value
      series.set(key, values)
    }
  })
  return [...series].map(([key, values]) => ({ series: key, values: values.join(' ') }))
}

/** The names of the alerts of the package that fire after these scrapes, one each second. */
export const alertsOn = (scrapes: readonly string[]): readonly string[] => {
  const rules = resolve('signals/alerts.yml')
  const names = readFileSync(rules, 'utf8').match(/(?<=- alert: )\w+/g) ?? []
  const test = {
    interval: '1s',
    input_series: seriesOf(scrapes),
    promql_expr_test: names.map((alertname) => ({
      expr: `group (ALERTS{alertname="${alertname}",alertstate="firing"})`,
      eval_time: `${scrapes.length - 1}s`,
      exp_samples: [{ labels: '{}', value: 1 }],
    })),
  }
  const file = join(tempFolder(), 'rules.json')
  const run = { rule_files: [rules], evaluation_interval: '1s', tests: [test] }
  writeFileSync(file, JSON.stringify(run))
  const { stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' })
  const silent = [...`${stdout}${stderr}`.matchAll(/alertname=\\"(\w+)\\".*\n.*\n.*got:\s*nil/g)]
  // Another failure than that of a silent alert is one of the test.
  if (silent.length === 0 && !stdout.includes('SUCCESS')) throw new Error(`${stdout}${stderr}`)
  return names.filter((name) => !silent.some(([, each]) => each === name))
}
