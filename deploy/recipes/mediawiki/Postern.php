<?php
// MediaWiki 1.39 behind Postern: who asks is who Postern says. Put this file beside
// LocalSettings.php (Debian: /etc/mediawiki), and at the end of that one:
//
//   $wgServer = 'https://wiki.example.com';
//   $wgScriptPath = '';
//   $wgArticlePath = '/wiki/$1';
//   require_once __DIR__ . '/Postern.php';
//
// MediaWiki makes an account at somebody's first visit. An account that it has
// already, such as the one of its installer, belongs from now on to whoever has
// its name in Postern. The role admin makes an administrator of the wiki.

use MediaWiki\MediaWikiServices;
use MediaWiki\Session\SessionBackend;
use MediaWiki\Session\SessionInfo;
use MediaWiki\Session\SessionProvider;
use MediaWiki\Session\UserInfo;
use MediaWiki\User\UserRigorOptions;

if ( !defined( 'MEDIAWIKI' ) ) {
	exit;
}

// Postern runs on this machine: what it says of the client's address is believed.
$wgCdnServersNoPurge[] = '127.0.0.1';

// Whom Postern does not name has no business here, and nobody makes an account.
$wgGroupPermissions['*']['read'] = false;
$wgGroupPermissions['*']['edit'] = false;
$wgGroupPermissions['*']['createaccount'] = false;
$wgGroupPermissions['*']['autocreateaccount'] = true;

// PosternSessionProvider takes the user from X-Auth-User. A session of the wiki is
// one of Postern's: it needs no cookie, and ends with the other.
class PosternSessionProvider extends SessionProvider {

	public function provideSessionInfo( WebRequest $request ) {
		$name = (string)$request->getHeader( 'X-Auth-User' );
		$session = (string)$request->getHeader( 'X-Auth-Session' );
		if ( $name === '' || $session === '' ) {
			return null;
		}
		$user = self::userOf( $name );
		if ( $user === null ) {
			throw new HttpError( 403, 'This name cannot be a user of the wiki.' );
		}
		return new SessionInfo( SessionInfo::MAX_PRIORITY, [
			'provider' => $this,
			'id' => $this->hashToSessionId( "$session\n$user" ),
			'userInfo' => UserInfo::newFromName( $user, true ),
			'persisted' => true,
			'forceUse' => true,
		] );
	}

	// MediaWiki writes alice as "Alice", and a_b as "A b". So that no two names
	// become one user, a name with a space is none here, nor is one that becomes
	// another in more than that.
	public static function userOf( string $name ): ?string {
		$user = MediaWikiServices::getInstance()->getUserNameUtils()
			->getCanonical( $name, UserRigorOptions::RIGOR_CREATABLE );
		$same = is_string( $user ) &&
			mb_strtolower( strtr( $user, ' ', '_' ) ) === mb_strtolower( $name );
		return $same ? $user : null;
	}

	public function persistsSessionId() {
		return false;
	}

	public function canChangeUser() {
		return false;
	}

	public function persistSession( SessionBackend $session, WebRequest $request ) {
	}

	public function unpersistSession( WebRequest $request ) {
	}
}

$wgSessionProviders[PosternSessionProvider::class] = [ 'class' => PosternSessionProvider::class ];

// Who has the role admin at this request is an administrator during it.
$wgHooks['UserEffectiveGroups'][] = static function ( $user, &$groups ) {
	$request = RequestContext::getMain()->getRequest();
	$asks = PosternSessionProvider::userOf( (string)$request->getHeader( 'X-Auth-User' ) );
	$roles = explode( ',', (string)$request->getHeader( 'X-Auth-Roles' ) );
	if ( $user->getName() === $asks && in_array( 'admin', $roles, true ) ) {
		$groups[] = 'sysop';
	}
};

$wgHooks['SkinTemplateNavigation::Universal'][] = static function ( $skin, &$links ) {
	$links['user-menu']['logout'] = [ 'text' => $skin->msg( 'pt-userlogout' )->text(), 'href' => '/auth/logout' ];
};
