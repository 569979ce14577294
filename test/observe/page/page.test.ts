/** The page as it is built: its size, its policy, and the code that may write into it. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { sourceFiles } from '../../support/source-files.ts'

const page = readFileSync('dist/observe/page.html', 'utf8')
const { policy } = JSON.parse(readFileSync('dist/observe/page.json', 'utf8')) as { policy: string }

test('is one file of at most 80 kB compressed, which asks for no other file', () => {
  expect(gzipSync(page).length).toBeLessThan(80_000)
  expect(page.match(/<(?:script|style)[^>]*>/g)).toEqual(['<style>', '<script>'])
  expect(page.match(/<link[^>]*>/g)).toEqual(['<link rel="icon" href="data:,">'])
})

test('has a policy that allows its own script and style and nothing else', () => {
  for (const name of ['script', 'style']) {
    const [, text = ''] = new RegExp(`<${name}>([\\s\\S]*?)</${name}>`).exec(page) ?? []
    const hash = createHash('sha256').update(text).digest('base64')
    expect(policy).toContain(`${name}-src 'sha256-${hash}'`)
  }
  expect(policy).toMatch(/^default-src 'none'; /)
  expect(policy).toContain("require-trusted-types-for 'script'; trusted-types 'none'")
  expect(policy).not.toMatch(/unsafe|\*/)
})

test('writes text nodes only', () => {
  const files = sourceFiles('src/observe').filter(({ path }) =>
    /\/(page|views|widgets)\//.test(path),
  )
  expect(files.length).toBeGreaterThan(15)
  const pattern =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|srcdoc|\beval\b/
  expect(files.filter(({ text }) => pattern.test(text)).map(({ path }) => path)).toEqual([])
})
