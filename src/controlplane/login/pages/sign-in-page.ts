import { escapeHtml } from '../../http/escape-html.ts';
import { type Notice, noticeHtml, renderPage } from './page.ts';

interface SignInPage {
  readonly hasProvider: boolean;
  readonly notice?: Notice | undefined;
  /** What was typed there before. */
  readonly email?: string | undefined;
}

export function signInPage({ hasProvider, notice, email = '' }: SignInPage): string {
  const provider = hasProvider
    ? `<a class="button quiet" href="/login/oidc">Continue with your organization</a>\n<p class="or">or</p>`
    : '';
  return renderPage({
    title: 'Sign in',
    body: `${noticeHtml(notice)}
${provider}
<form method="post" action="/login">
<label>Email<input type="email" name="email" value="${escapeHtml(email)}" autocomplete="username" required maxlength="254"${email === '' ? ' autofocus' : ''}></label>
<label>Password<input type="password" name="password" autocomplete="current-password" required maxlength="1000"${email === '' ? '' : ' autofocus'}></label>
<button>Sign in</button>
</form>
<p class="hint">People are invited here. An administrator can make you a link, also where you have forgotten your password.</p>`,
  });
}
