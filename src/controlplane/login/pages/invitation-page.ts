import { passwordLength } from '../passwords.ts';
import { invitationScript, type Notice, noticeHtml, renderPage } from './page.ts';
import { escapeHtml } from '../../http/escape-html.ts';

interface InvitationPage {
  readonly hasProvider: boolean;
  readonly notice?: Notice | undefined;
  /** What was sent before. */
  readonly invitation?: string | undefined;
  /** Nobody has to look at what was sent before: it is not what was refused. */
  readonly isHidden?: boolean;
}

export function invitationPage({ hasProvider, notice, invitation = '', isHidden = false }: InvitationPage): string {
  const { least, most } = passwordLength;
  const provider = hasProvider
    ? `<p class="or">or</p>\n<a class="button quiet" href="/login/oidc">Continue with your organization</a>`
    : '';
  return renderPage({
    title: 'Choose your password',
    body: `${noticeHtml(notice)}
<form method="post" action="/invitation">
<label${isHidden && invitation !== '' ? ' hidden' : ''}>Invitation<input name="invitation" value="${escapeHtml(invitation)}" autocomplete="off" spellcheck="false" required maxlength="100"></label>
<label>Password<small>At least ${least} characters. A few words are good.</small><input type="password" name="password" autocomplete="new-password" required minlength="${least}" maxlength="${most}" autofocus></label>
<label>Once more<input type="password" name="repeated" autocomplete="new-password" required minlength="${least}" maxlength="${most}"></label>
<button>Set the password and sign in</button>
</form>
${provider}
<p class="hint">A new password ends your sessions in other browsers.</p>
<script>${invitationScript}</script>`,
  });
}
