import { escapeHtml } from '../../http/escape-html.ts';
import type { Principal } from '../../auth/identity.ts';
import type { ApiKey } from '../../auth/identity.ts';
import { passwordLength } from '../passwords.ts';
import { browserName } from './browser-name.ts';
import { type Notice, noticeHtml, renderPage } from './page.ts';

interface AccountPage {
  readonly principal: Principal;
  /** Null: it signs in otherwise. */
  readonly email: string | null;
  readonly hasPassword: boolean;
  readonly sessions: readonly ApiKey[];
  readonly notice?: Notice | undefined;
}

/** Says who is signed in, and where. */
export function accountPage({ principal, email, hasPassword, sessions, notice }: AccountPage): string {
  const { userName, role, keyId } = principal;
  return renderPage({
    title: `You are ${userName}`,
    body: `${noticeHtml(notice)}
<dl class="wide">
<dt>Role</dt><dd>${escapeHtml(role)}</dd>
${email === null ? '' : `<dt>Email</dt><dd>${escapeHtml(email)}</dd>`}
</dl>
<p>There is no web panel yet. For the command line you need a key, which an administrator makes: <code>${escapeHtml(`caisson keys create ${userName}`)}</code></p>
<div class="row">
<form method="post" action="/logout"><button>Sign out</button></form>
<form method="post" action="/logout/everywhere"><button class="quiet">Sign out everywhere</button></form>
</div>
<h2>Signed in</h2>
<ul>
${sessions.map((session) => sessionItem(session, session.id === keyId)).join('\n')}
</ul>
${hasPassword ? passwordForm(email ?? '') : ''}`,
  });
}

function sessionItem({ id, name, signedInBy, createdAt }: ApiKey, isCurrent: boolean): string {
  const by = signedInBy === 'oidc' ? 'by your organization' : 'with a password';
  const since = `${new Date(createdAt).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const end = isCurrent
    ? '<small>this browser</small>'
    : `<form method="post" action="/account/sessions"><input type="hidden" name="sessionId" value="${escapeHtml(id)}"><button class="quiet small">Sign out</button></form>`;
  return `<li><span>${escapeHtml(browserName(name))}<small>${by}, since ${since}</small></span>${end}</li>`;
}

function passwordForm(email: string): string {
  const { least, most } = passwordLength;
  return `<h2>Change your password</h2>
<form method="post" action="/account/password">
<input type="hidden" name="username" value="${escapeHtml(email)}" autocomplete="username">
<label>Present password<input type="password" name="current" autocomplete="current-password" required maxlength="1000"></label>
<label>New password<small>At least ${least} characters. It ends your other sessions.</small><input type="password" name="next" autocomplete="new-password" required minlength="${least}" maxlength="${most}"></label>
<button class="quiet">Change it</button>
</form>`;
}
