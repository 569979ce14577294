/** The start of the page of `keelson observe`. */
import { render } from 'preact'
import { App } from './app.tsx'
import { type Refused, signIn } from './connection.ts'

const place = document.getElementById('page')

signIn().then(
  () => place && render(<App />, place),
  (error: Refused) => place && render(<p class="banner bad">{error.message}</p>, place),
)
