"""Texts of `gantryctl user`."""

from collections.abc import Mapping

USERS: Mapping[str, tuple[str, str]] = {
    "role": ("Role", "角色"),
    "password": ("Password", "密码"),
    "token": ("Token", "令牌"),
    "no-users": ("There are no users yet.", "还没有用户。"),
    "user-added": (
        "{name} is {role}; it takes effect when the service reloads: systemctl reload gantry.",
        "已添加 {name}（{role}）；重新加载服务后生效：systemctl reload gantry。",
    ),
    "user-removed": (
        "{name} is removed; it takes effect when the service reloads: systemctl reload gantry.",
        "已删除 {name}；重新加载服务后生效：systemctl reload gantry。",
    ),
    "user-exists": (
        "There is a user {name!r} already; --replace replaces one of the file.",
        "用户 {name!r} 已存在；--replace 可替换用户文件中的同名用户。",
    ),
    "no-such-user": ("{file} has no user {name!r}.", "{file} 中没有用户 {name!r}。"),
    "bad-user-name": ("{name!r}: {reason}.", "{name!r} 不能用作用户名：{reason}。"),
    "no-users-file": (
        '{file}: [web] names no file of users, such as users = "users.toml".',
        '{file}：[web] 中没有指定用户文件，例如 users = "users.toml"。',
    ),
}
