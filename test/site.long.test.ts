/** `npm run site`: the pages as a static site, which stands alone. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, extname, join, normalize } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startChromium, withoutChromium } from './observe/views/chromium.ts'
import { lacks } from './support/lacks.ts'

const site = '.tmp/site'
const made = spawnSync(process.execPath, ['scripts/site/main.mjs'], { encoding: 'utf8' })
const isOffline =
  made.status !== 0 && /E(?:AI_AGAIN|NOTFOUND|CONNREFUSED|NETUNREACH)/.test(made.stderr)

describe.skipIf(lacks(isOffline ? 'the registry cannot be reached' : undefined))('the site', () => {
  const pages = new Map<string, string>()
  beforeAll(() => {
    expect(made.status, made.stderr).toBe(0)
    for (const path of readdirSync(site, { recursive: true, encoding: 'utf8' }))
      if (path.endsWith('.html')) pages.set(path, readFileSync(join(site, path), 'utf8'))
  })

  test('has every page of the docs, and one for each exported name of each entry', () => {
    const docs = readdirSync('docs', { recursive: true, encoding: 'utf8' })
    const expected = docs.filter((path) => path.endsWith('.md')).map((path) => `docs/${path}`)
    expect(expected.length).toBeGreaterThan(50)
    for (const path of [...expected, 'index.md', 'SECURITY.md', 'src/storage/FORMAT.md'])
      expect([...pages.keys()]).toContain(path.replace(/md$/, 'html'))
    for (const path of ['keelson/variables/start', 'flow/functions/flow', 'wal/classes/Wal'])
      expect([...pages.keys()]).toContain(`api/${path}.html`)
  })

  test('has a list for programs, llms.txt, whose pages are there as they are written', () => {
    const list = readFileSync(join(site, 'llms.txt'), 'utf8')
    expect(list).toMatch(/^# Keelson\n\n> .*kill -9/)
    const paths = [...list.matchAll(/\]\(\/([^)]+)\)/g)].map(([, path = '']) => path)
    expect(paths).toContain('docs/flow.md')
    for (const path of paths)
      expect(readFileSync(join(site, path), 'utf8'), path).toBe(readFileSync(path, 'utf8'))
  })

  test('has no link to a page or a heading that is missing', () => {
    const broken: string[] = []
    for (const [path, text] of pages)
      for (const link of linksOf(text))
        if (!leads(path, link, pages)) broken.push(`${path}: ${link}`)
    expect(broken).toEqual([])
  })

  test('loads nothing from another host', () => {
    for (const [path, text] of pages)
      for (const [, tag, address = ''] of text.matchAll(/<(\w+)[^>]*?\s(?:src|href)="([^"]*)"/g))
        if (tag !== 'a') expect(address, path).not.toMatch(/^(?:https?:)?\/\//)
  })

  describe.skipIf(lacks(withoutChromium))('in Chromium', () => {
    let browser: Awaited<ReturnType<typeof startChromium>>
    beforeAll(async () => {
      browser = await startChromium()
    })
    afterAll(() => browser?.close())

    test('shows its pages without an error, asks its host alone, and finds a word', async () => {
      const origin = await served()
      const page = await browser.newPage()
      const said: string[] = []
      page.on('console', (message) => said.push(message.text()))
      page.on('pageerror', (error) => said.push(String(error)))
      page.on('request', (request) => {
        if (!/^(?:data|blob):/.test(request.url()) && !request.url().startsWith(origin))
          said.push(request.url())
      })
      for (const path of [
        '',
        'docs/getting-started',
        'docs/observer',
        'docs/evidence/performance-details',
      ])
        await page.goto(`${origin}/${path}`, { waitUntil: 'networkidle0' })
      await page.goto(`${origin}/api/keelson/variables/start`, { waitUntil: 'networkidle0' })
      await page.click('#local-search button')
      await page.waitForSelector('.search-input')
      await page.type('.search-input', 'supervision')
      await page.waitForSelector('.results .result')
      expect(await page.$eval('.results', (list) => list.textContent)).toContain('Supervision')
      expect(said).toEqual([])
    })
  })
})

/** The links of a page of the site to the site. */
const linksOf = (text: string): string[] =>
  [...text.matchAll(/\s(?:href|src)="([^"]*)"/g)]
    .map(([, address = '']) => address.replaceAll('&amp;', '&'))
    .filter((address) => !/^(?:https?|mailto|data):/.test(address))

/** Whether a link of the page at `path` leads to a file of the site, and to a heading in it. */
const leads = (path: string, link: string, pages: ReadonlyMap<string, string>): boolean => {
  const [to = '', heading] = link.split('#').map(decodeURIComponent)
  const at = to.startsWith('/') ? to.slice(1) : normalize(join(dirname(path), to))
  const target = to === '' ? path : fileAt(at)
  if (target === undefined) return false
  return !heading || (pages.get(target)?.includes(` id="${heading}"`) ?? false)
}

/** The file of the site at an address, as a host without rules of any kind finds it. */
const fileAt = (address: string): string | undefined =>
  [address, `${address}.html`, join(address, 'index.html')].find(
    (path) => extname(path) !== '' && existsSync(join(site, path)),
  )

/** Serves the site to the end of the test. Returns its origin. */
const served = async (): Promise<string> => {
  const types: Record<string, string> = {
    ...{ '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' },
    ...{ '.svg': 'image/svg+xml', '.json': 'application/json' },
  }
  const server = createServer((request, response) => {
    const path = fileAt(decodeURIComponent(request.url?.split('?')[0] ?? '').slice(1))
    const type = types[extname(path ?? '')]
    response.writeHead(path ? 200 : 404, type ? { 'content-type': type } : {})
    response.end(path && readFileSync(join(site, path)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
